import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { onEachDatabase } from '../packages/server/src/identity/people/testing/databases.ts';
import { manifests } from './support/fixtures.ts';
import { createScimClient } from './support/scim-client.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** Agents that a directory names (draft-wzdk-scim-agent-resource-00): off unless wanted, nothing unless a manifest maps it. */
const AGENT = 'urn:ietf:params:scim:schemas:core:2.0:Agent';

onEachDatabase('agents of a directory', (database) => {
  let workspace: Workspace;
  let token = '';
  let owner = '';
  let other = '';

  const mapping: ManifestInput = {
    kind: 'AgentMapping',
    name: 'assistants',
    agentType: 'assistant',
    environment: 'staging',
    blueprint: 'support',
    risk: 'high',
  };

  before(async () => {
    workspace = await startWorkspace({ database: await database(), scimAgents: true });
    await workspace.apply([...manifests(), mapping]);
    ({ token } = await workspace.operator('POST /scim/tokens', { body: { name: 'entra' } }));
    [owner, other] = (await Promise.all(
      ['lee@example.test', 'mia@example.test'].map(async (userName) => {
        const { body } = await scim('POST', '/Users', {
          schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
          userName,
          emails: [{ value: userName, primary: true }],
        });
        return body.id as string;
      }),
    )) as [string, string];
  });
  after(() => workspace.close());

  const scim = createScimClient(() => ({ workspace, token }));
  const resource = (name: string, more: object = {}) => ({
    schemas: [AGENT],
    name,
    displayName: `The ${name}`,
    agentType: 'assistant',
    active: true,
    owners: [{ value: owner }],
    protocols: [{ type: 'mcp' }],
    ...more,
  });
  const patch = (id: string, ...Operations: object[]) =>
    scim('PATCH', `/Agents/${id}`, { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations });
  const agentOf = (name: string) => workspace.operator('GET /agents/:name', { params: { name } });

  /** @proves scim-agents.mapped */
  test('a manifest says what a type of agent is worth here; without one nothing is made', async () => {
    for (const [why, body, status] of [
      ['a type without a mapping', resource('unmapped', { agentType: 'admin-bot' }), 403],
      ['no type', resource('untyped', { agentType: undefined }), 400],
      ['no owner', resource('ownerless', { owners: [] }), 400],
      ['an owner who is nobody', resource('stray', { owners: [{ value: 'x' }] }), 400],
      ['a name that is none', resource('Agent A'), 400],
      ['a declared agent', resource('agent-a'), 409],
      ['a name that looks like another', resource('agent-‌b'), 400],
    ] as const) {
      const refused = await scim('POST', '/Agents', body);
      assert.equal(refused.status, status, `${why}: ${JSON.stringify(refused.body)}`);
    }
    assert.equal((await scim('GET', '/Agents')).body.totalResults, 0);
    assert.equal((await agentOf('agent-a')).manifest.owner, 'owner@example.test');

    const made = await scim(
      'POST',
      '/Agents',
      resource('helper', { owners: [{ value: other }, { value: owner, primary: true }] }),
    );
    assert.equal(made.status, 201, JSON.stringify(made.body));
    assert.deepEqual([made.body.name, made.body.active, made.body.owners[0].value], ['helper', true, owner]);
    const { manifest, state } = await agentOf('helper');
    assert.deepEqual(
      [manifest.owner, manifest.environment, manifest.blueprint, manifest.risk, manifest.keys, state],
      ['lee@example.test', 'staging', 'support', 'high', [], 'active'],
    );
    const { items } = await workspace.operator('GET /records', { query: { operation: 'manifest.apply' } });
    assert.ok(items.some(({ record }) => record.agent === 'helper' && /scim\/tok_/.test(JSON.stringify(record))));
  });

  /** @proves scim-agents.not-back */
  test('a directory stops and starts what it made, and brings nothing back that was stopped here', async () => {
    const { body } = await scim('POST', '/Agents', resource('worker'));
    const client = await workspace.agent('worker');
    await client.startTask({ template: 'all', intent: 'test' });
    const off = await patch(body.id, { op: 'Replace', path: 'active', value: 'False' });
    assert.deepEqual([off.status, off.body.active], [200, false], JSON.stringify(off.body));
    await assert.rejects(client.startTask({ template: 'all', intent: 'test' }));
    const on = await patch(body.id, { op: 'replace', value: { active: true } });
    assert.deepEqual([on.status, on.body.active], [200, true], JSON.stringify(on.body));
    await client.startTask({ template: 'all', intent: 'test' });

    const params = { name: 'worker' };
    await workspace.operator('POST /agents/:name/kill', { params, body: { reason: 'test' } });
    assert.equal((await scim('GET', `/Agents/${body.id}`)).body.active, false, 'it shows what is');
    assert.equal((await patch(body.id, { op: 'replace', path: 'active', value: true })).status, 409);
    await patch(body.id, { op: 'replace', path: 'active', value: false });
    assert.equal((await patch(body.id, { op: 'replace', path: 'active', value: true })).status, 409);
    assert.equal((await agentOf('worker')).state, 'suspended');
    // Stopped by the directory first, and killed then.
    await workspace.operator('POST /agents/:name/state', { params, body: { state: 'active' } });
    await patch(body.id, { op: 'replace', path: 'active', value: false });
    await workspace.operator('POST /agents/:name/kill', { params, body: { reason: 'test' } });
    assert.equal((await patch(body.id, { op: 'replace', path: 'active', value: true })).status, 409);
  });

  test('it hands an agent over, changes nothing that decides what it may do, and retires it for good', async () => {
    const { body } = await scim('POST', '/Agents', resource('clerk'));
    const handed = await patch(body.id, { op: 'replace', path: 'owners', value: [{ value: other }] });
    assert.equal(handed.status, 200, JSON.stringify(handed.body));
    assert.equal((await agentOf('clerk')).manifest.owner, 'mia@example.test');
    for (const [path, value] of [
      ['name', 'agent-a'],
      ['agentType', 'admin-bot'],
    ])
      assert.equal((await patch(body.id, { op: 'replace', path, value })).status, 400, path);
    const { environment, blueprint } = (await agentOf('clerk')).manifest;
    assert.deepEqual([environment, blueprint], ['staging', 'support']);
    const found = await scim('GET', `/Agents?filter=${encodeURIComponent('name eq "clerk"')}`);
    assert.deepEqual([found.body.totalResults, found.body.Resources[0].id], [1, body.id]);

    // A repository that does not name it does not end it, and does not have it.
    const { manifests: exported } = await workspace.operator('GET /export');
    assert.ok(!JSON.stringify(exported).includes('"clerk"'));
    await workspace.operator('POST /apply', { body: { manifests: exported, prune: true } });
    assert.equal((await agentOf('clerk')).state, 'active');

    assert.equal((await scim('DELETE', `/Agents/${body.id}`)).status, 204);
    assert.equal((await agentOf('clerk')).state, 'retired');
    assert.equal((await scim('GET', `/Agents/${body.id}`)).status, 404);
    assert.equal((await scim('POST', '/Agents', resource('clerk'))).status, 409);
  });

  test('an agent whose owner leaves is suspended, and the directory does not bring it back to nobody', async () => {
    const { body } = await scim('POST', '/Agents', resource('orphan', { owners: [{ value: other }] }));
    await scim('PATCH', `/Users/${other}`, {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: [{ op: 'replace', path: 'active', value: false }],
    });
    assert.equal((await agentOf('orphan')).state, 'suspended');
    assert.notEqual((await patch(body.id, { op: 'replace', path: 'active', value: true })).status, 200);
    assert.equal((await agentOf('orphan')).state, 'suspended');
  });

  test('one mapping alone decides about a type, and refers to what exists', async () => {
    for (const [change, path] of [
      [{ name: 'second' }, /agentType/],
      [{ name: 'assistants', environment: 'nowhere' }, /environment/],
      [{ name: 'assistants', blueprint: 'nothing' }, /blueprint/],
    ] as const)
      await assert.rejects(workspace.apply([{ ...mapping, ...change } as ManifestInput]), path);
  });

  /** @proves scim.pages */
  test('lists page in the database, filters that no index serves page as well, and what cannot be stored is nobody’s', async () => {
    const all = await scim('GET', '/Agents?count=200');
    const pages = [];
    for (let startIndex = 1; startIndex <= all.body.totalResults; startIndex += 2) {
      const { body } = await scim('GET', `/Agents?startIndex=${startIndex}&count=2`);
      assert.equal(body.totalResults, all.body.totalResults);
      pages.push(...body.Resources);
    }
    const ids = (of: { id: string }[]) => of.map(({ id }) => id);
    assert.deepEqual(ids(pages), ids(all.body.Resources));
    const filter = encodeURIComponent('displayName sw "The " and active eq false');
    const stopped = all.body.Resources.filter(({ active }: { active: boolean }) => !active);
    const second = await scim('GET', `/Agents?filter=${filter}&startIndex=2&count=1`);
    assert.ok(stopped.length > 1);
    assert.deepEqual([second.body.totalResults, ...ids(second.body.Resources)], [stopped.length, stopped[1].id]);
    assert.deepEqual((await scim('GET', '/Users?count=0')).body.Resources, []);
    for (const path of ['/Users/%00', '/Users/%zz', '/Agents/%00'])
      assert.equal((await scim('GET', path)).status, 404, path);
    const nul = encodeURIComponent('userName eq "a\\u0000b"');
    assert.equal((await scim('GET', `/Users?filter=${nul}`)).body.totalResults, 0);
    assert.equal((await scim('POST', '/Users', { userName: 'a\0b@example.test' })).status, 400);
    assert.equal((await scim('GET', `/Users?filter=${'x'.repeat(2_001)}`)).status, 400);
  });

  /** @proves scim-agents.off */
  test('where it is not wanted there is no such resource', async () => {
    const without = await startWorkspace();
    try {
      await without.apply(manifests());
      const { token: bearer } = await without.operator('POST /scim/tokens', { body: { name: 'entra' } });
      const get = (path: string) =>
        fetch(`${without.url}/scim/v2${path}`, { headers: { authorization: `Bearer ${bearer}` } });
      assert.equal((await get('/Agents')).status, 404);
      assert.ok(!(await (await get('/ResourceTypes')).text()).includes('Agent'));
      assert.match(JSON.stringify((await scim('GET', `/Schemas/${AGENT}`)).body), /agentType/);
      assert.match(JSON.stringify((await scim('GET', '/ResourceTypes')).body), /\/Agents/);
    } finally {
      await without.close();
    }
  });
});
