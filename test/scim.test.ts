import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, manifest, type Role } from '@gatehouse/protocol';
import { onEachDatabase } from '../packages/server/src/identity/people/testing/databases.ts';
import { manifests } from './support/fixtures.ts';
import { createScimClient } from './support/scim-client.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** A company's directory over SCIM, in the shapes that Entra and Okta publish, and what its changes do to people and their agents. */
onEachDatabase('a directory', (database) => {
  let workspace: Workspace;
  let token = '';

  const agent = (name: string, owner: string) => ({
    kind: 'Agent' as const,
    name,
    owner,
    purpose: 'tests',
    environment: 'production',
    blueprint: 'support',
  });

  before(async () => {
    workspace = await startWorkspace({ database: await database() });
    await workspace.apply([
      ...manifests(),
      { kind: 'RoleMapping', name: 'engineers', group: 'Engineering', roles: ['developer', 'owner'] },
      { kind: 'Person', email: 'gina@example.test', displayName: 'Gina', roles: ['auditor'] },
    ]);
    ({ token } = await workspace.operator('POST /scim/tokens', { body: { name: 'entra' } }));
  });
  after(() => workspace.close());

  const scim = createScimClient(() => ({ workspace, token }));

  const user = (userName: string, more: object = {}) => ({
    schemas: [
      'urn:ietf:params:scim:schemas:core:2.0:User',
      'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User',
    ],
    externalId: `ext-${userName}`,
    userName,
    active: true,
    emails: [{ primary: true, type: 'work', value: userName }],
    name: { formatted: 'Given Family', familyName: 'Family', givenName: 'Given' },
    ...more,
  });
  const patch = (...Operations: object[]) => ({
    schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
    Operations,
  });
  const person = (email: string) => workspace.operator('GET /people/:email', { params: { email } });

  /** @proves scim.bearer */
  test('the token of a directory is good at its door and nowhere else, and no other credential is good there', async () => {
    for (const authorization of ['', 'Bearer x', `Bearer scim_${'A'.repeat(43)}`, `Operator ${token}`]) {
      const { status, body } = await scim('GET', '/Users', undefined, { authorization });
      assert.equal(status, 401);
      assert.deepEqual(body.schemas, ['urn:ietf:params:scim:api:messages:2.0:Error']);
    }
    for (const scheme of ['Bearer', 'Operator', 'Session']) {
      const response = await fetch(`${workspace.url}/api/v1/people`, {
        headers: { authorization: `${scheme} ${token}` },
      });
      assert.ok([401, 403].includes(response.status));
    }
    const made = await workspace.operator('POST /scim/tokens', { body: { name: 'short' } });
    assert.ok(!JSON.stringify(await workspace.operator('GET /scim/tokens')).includes(made.token.slice(5)));
    const use = { authorization: `Bearer ${made.token}` };
    assert.equal((await scim('GET', '/Users', undefined, use)).status, 200);
    await workspace.operator('DELETE /scim/tokens/:id', { params: { id: made.id } });
    assert.equal((await scim('GET', '/Users', undefined, use)).status, 401);
  });

  test('a client finds what the provider can do (RFC 7644 §4)', async () => {
    const { body } = await scim('GET', '/ServiceProviderConfig');
    assert.deepEqual([body.patch.supported, body.bulk.supported, body.filter.supported], [true, false, true]);
    assert.deepEqual(
      (await scim('GET', '/ResourceTypes')).body.Resources.map(({ id }: { id: string }) => id),
      ['User', 'Group'],
    );
    const { body: schemas } = await scim('GET', '/Schemas');
    assert.ok(schemas.Resources.some(({ id }: { id: string }) => id === 'urn:ietf:params:scim:schemas:core:2.0:User'));
    assert.equal((await scim('POST', '/Bulk', {})).status, 501);
  });

  /** @proves scim.provision, scim.declared */
  test('users and groups as Entra sends them: found, made, put into a group, which alone gives the roles that a manifest says', async () => {
    const none = await scim('GET', `/Users?filter=${encodeURIComponent('userName eq "hana@example.test"')}`);
    assert.deepEqual([none.status, none.body.totalResults], [200, 0]);
    const made = await scim('POST', '/Users', user('hana@example.test', { roles: [{ value: 'admin' }] }));
    assert.equal(made.status, 201, JSON.stringify(made.body));
    assert.equal(made.headers.get('location'), made.body.meta.location);
    assert.deepEqual((await person('hana@example.test')).roles, [], 'what a directory calls a role is none here');
    assert.equal((await scim('POST', '/Users', user('HANA@example.test'))).body.scimType, 'uniqueness');
    const found = await scim('GET', `/Users?filter=${encodeURIComponent('userName eq "hana@example.test"')}&count=1`);
    assert.deepEqual([found.body.totalResults, found.body.Resources[0].id], [1, made.body.id]);

    const group = await scim('POST', '/Groups', {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
      displayName: 'Engineering',
    });
    assert.equal(group.status, 201, JSON.stringify(group.body));
    const added = await scim(
      'PATCH',
      `/Groups/${group.body.id}`,
      patch({ op: 'Add', path: 'members', value: [{ value: made.body.id }] }),
    );
    assert.equal(added.status, 200, JSON.stringify(added.body));
    const hana = await person('hana@example.test');
    assert.deepEqual(
      [hana.source, hana.groups, [...hana.roles].sort()],
      ['scim', ['Engineering'], ['developer', 'owner']],
    );

    // Okta replaces all members at once: whom it names no more is in no longer.
    const everybody = await scim(
      'PATCH',
      `/Groups/${group.body.id}`,
      patch({ op: 'replace', path: 'members', value: [] }),
    );
    assert.equal(everybody.status, 200, JSON.stringify(everybody.body));
    assert.deepEqual((await person('hana@example.test')).roles, []);
    await scim(
      'PATCH',
      `/Groups/${group.body.id}`,
      patch({ op: 'replace', value: { members: [{ value: made.body.id }] } }),
    );
    assert.deepEqual([...(await person('hana@example.test')).roles].sort(), ['developer', 'owner']);

    // Gina is declared: the directory adds nothing to what her manifest says.
    const gina = await scim('POST', '/Users', user('gina@example.test'));
    await scim(
      'PATCH',
      `/Groups/${group.body.id}`,
      patch({ op: 'add', path: 'members', value: [{ value: gina.body.id }] }),
    );
    const declared = await person('gina@example.test');
    assert.deepEqual([declared.source, declared.provisioned, declared.roles], ['manifest', true, ['auditor']]);
    const { manifests: exported } = await workspace.operator('GET /export');
    assert.ok(!JSON.stringify(exported).includes('hana@'), 'who was provisioned is not exported as declared');

    const out = await scim(
      'PATCH',
      `/Groups/${group.body.id}`,
      patch({ op: 'Remove', path: `members[value eq "${made.body.id}"]` }),
    );
    assert.equal(out.status, 200, JSON.stringify(out.body));
    assert.deepEqual((await person('hana@example.test')).roles, []);
    await scim(
      'PATCH',
      `/Groups/${group.body.id}`,
      patch({ op: 'add', path: 'members', value: [{ value: made.body.id }] }),
    );
  });

  /** @proves scim.leaver, law-6.departure */
  test('who is deactivated in the directory has left: sessions and passkeys end, agents are suspended and mint nothing', async () => {
    const hana = await workspace.person('hana@example.test');
    await workspace.apply([agent('agent-of-hana', 'hana@example.test')]);
    const client = await workspace.agent('agent-of-hana');
    const task = await client.startTask({ template: 'all', intent: 'test' });
    await task.token();
    const { body } = await scim('GET', `/Users?filter=${encodeURIComponent('externalId eq "ext-hana@example.test"')}`);
    const [{ id }] = body.Resources;
    // Entra's published shape: a capital and a string.
    const gone = await scim('PATCH', `/Users/${id}`, patch({ op: 'Replace', path: 'active', value: 'False' }));
    assert.deepEqual([gone.status, gone.body.active], [200, false], JSON.stringify(gone.body));
    await assert.rejects(hana.api('GET /agents'), { status: 401 });
    const left = await person('hana@example.test');
    assert.deepEqual([left.roles, left.passkeys, left.sessions, left.agents], [[], 0, 0, ['agent-of-hana']]);
    assert.ok(left.departed);
    const view = await workspace.operator('GET /agents/:name', { params: { name: 'agent-of-hana' } });
    assert.deepEqual([view.state, view.manifest.keys], ['suspended', []]);
    await assert.rejects(client.startTask({ template: 'all', intent: 'test' }));
    await assert.rejects(workspace.server.createSignInLink('hana@example.test'));
    await assert.rejects(workspace.apply([agent('agent-new', 'hana@example.test')]), /has left/);
    // Okta's shape brings them back; what they had does not come back with them.
    const back = await scim('PATCH', `/Users/${id}`, patch({ op: 'replace', value: { active: true } }));
    assert.equal(back.body.active, true);
    const again = await person('hana@example.test');
    assert.deepEqual([again.departed, again.passkeys, [...again.roles].sort()], [null, 0, ['developer', 'owner']]);
    assert.equal(
      (await workspace.operator('GET /agents/:name', { params: { name: 'agent-of-hana' } })).state,
      'suspended',
    );
  });

  test('agents go to the manager that the directory names; deleting is leaving, too', async () => {
    const boss = await scim('POST', '/Users', user('boss@example.test'));
    const ivan = await scim(
      'POST',
      '/Users',
      user('ivan@example.test', {
        'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User': { manager: { value: boss.body.id } },
      }),
    );
    assert.equal(ivan.status, 201, JSON.stringify(ivan.body));
    await workspace.apply([agent('agent-of-ivan', 'ivan@example.test')]);
    const client = await workspace.agent('agent-of-ivan');
    const joins = { params: { name: 'agent-of-ivan' }, body: {} };
    await workspace.operator('POST /agents/:name/join-tokens', joins);
    assert.equal((await person('ivan@example.test')).successor, 'boss@example.test');
    assert.equal((await scim('DELETE', `/Users/${ivan.body.id}`)).status, 204);
    const view = await workspace.operator('GET /agents/:name', { params: { name: 'agent-of-ivan' } });
    assert.deepEqual([view.state, view.manifest.owner, view.manifest.keys], ['active', 'boss@example.test', []]);
    assert.deepEqual((await workspace.operator('GET /agents/:name/join-tokens', joins)).items, []);
    await assert.rejects(client.startTask({ template: 'all', intent: 'with a copy of the key' }));
    assert.equal((await scim('GET', `/Users/${ivan.body.id}`)).status, 404);
    // A repository that has not heard of it gives the agent back to nobody.
    const { changes } = await workspace.apply([agent('agent-of-ivan', 'ivan@example.test')]);
    assert.match(changes[0]?.note ?? '', /stays with boss@example\.test: ivan@example\.test has left/);
  });

  /** @proves people.hand-over */
  test('keys that somebody chose to keep are kept when the directory hears of the departure later', async () => {
    const made = await scim('POST', '/Users', user('lea@example.test'));
    await workspace.apply([agent('agent-of-lea', 'lea@example.test')]);
    await workspace.agent('agent-of-lea');
    await workspace.operator('POST /people/:email/offboard', {
      params: { email: 'lea@example.test' },
      body: { keepKeys: true },
    });
    const gone = await scim('DELETE', `/Users/${made.body.id}`);
    assert.equal(gone.status, 204);
    const view = await workspace.operator('GET /agents/:name', { params: { name: 'agent-of-lea' } });
    assert.deepEqual([view.state, view.manifest.keys.length], ['suspended', 1]);
    // Said again without: then they go.
    const again = await workspace.operator('POST /people/:email/offboard', { params: { email: 'lea@example.test' } });
    assert.equal(again.droppedKeys, 1);
  });

  /** @proves people.offboard */
  test('offboarding hands agents and their pending approvals to the successor, once, recorded', async () => {
    const people = (['jo@example.test', 'kim@example.test'] as const).map((email) => ({
      kind: 'Person' as const,
      email,
      displayName: email,
      roles: ['owner'] as Role[],
    }));
    await workspace.apply([...people, agent('agent-of-jo', 'jo@example.test')]);
    const jo = await workspace.person('jo@example.test');
    const kim = await workspace.person('kim@example.test');
    const task = await (await workspace.agent('agent-of-jo')).startTask({ template: 'all', intent: 'test' });
    const { Client } = await import('@modelcontextprotocol/client');
    const { createMcpTransport } = await import('@gatehouse/sdk');
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
    const asked = await client.callTool({
      name: 'shop__refund_order',
      arguments: { order: 1042, amount_cents: 100, currency: 'EUR', reason: 'test' },
    });
    const approval = (asked._meta?.['gatehouse/approval'] as { id: string } | undefined)?.id ?? '';
    await assert.rejects(kim.approve(approval), { status: 403 });
    const params = { email: 'jo@example.test' };
    await assert.rejects(kim.api('POST /people/:email/offboard', { params }), { status: 403 });
    const result = await workspace.operator('POST /people/:email/offboard', {
      params,
      body: { successor: 'kim@example.test', reason: 'left', keepKeys: true },
    });
    assert.deepEqual([result.handedOver, result.suspended, result.removedPasskeys], [['agent-of-jo'], [], 1]);
    await assert.rejects(jo.approve(approval), { status: 401 });
    assert.equal((await kim.approve(approval)).state, 'approved');
    const { items } = await workspace.operator('GET /records', { query: { operation: 'agent.hand-over' } });
    assert.ok(items.some(({ record }) => record.agent === 'agent-of-jo'));
    const { changes } = await workspace.apply(people);
    assert.match(changes.find(({ name }) => name === 'jo@example.test')?.note ?? '', /does not bring them back/);
    assert.ok((await person('jo@example.test')).departed);
    await client.close();

    // Without the keys, what was asked with them is nobody's to decide.
    await workspace.apply([
      { kind: 'Person', email: 'lou@example.test', displayName: 'Lou', roles: ['owner'] },
      agent('agent-of-lou', 'lou@example.test'),
    ]);
    const its = await (await workspace.agent('agent-of-lou')).startTask({ template: 'all', intent: 'test' });
    const other = new Client({ name: 't', version: '1' });
    await other.connect(createMcpTransport(its));
    const refund = { order: 1042, amount_cents: 100, currency: 'EUR', reason: 'test' };
    const again = await other.callTool({ name: 'shop__refund_order', arguments: refund });
    const dropped = await workspace.operator('POST /people/:email/offboard', {
      params: { email: 'lou@example.test' },
      body: { successor: 'kim@example.test' },
    });
    assert.equal(dropped.cancelledApprovals, 1);
    const id = (again._meta?.['gatehouse/approval'] as { id: string } | undefined)?.id ?? '';
    assert.equal((await workspace.operator('GET /approvals/:id', { params: { id } })).state, 'cancelled');
    await other.close().catch(() => undefined);
  });

  /** @proves scim.not-back */
  test('who was offboarded here stays so, whatever the directory says of them afterwards', async () => {
    const { body } = await scim('POST', '/Users', user('lena@example.test'));
    const params = { email: 'lena@example.test' };
    await workspace.operator('POST /people/:email/offboard', { params, body: { reason: 'incident' } });
    // What a directory sends all day: an attribute, a group, and that she is active.
    await scim('PATCH', `/Users/${body.id}`, patch({ op: 'replace', path: 'displayName', value: 'Lena' }));
    await scim('PATCH', `/Users/${body.id}`, patch({ op: 'replace', path: 'active', value: true }));
    const group = await scim('POST', '/Groups', {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
      displayName: 'Leads',
      members: [{ value: body.id }],
    });
    assert.equal(group.status, 201, JSON.stringify(group.body));
    const still = await person('lena@example.test');
    assert.ok(still.departed);
    assert.deepEqual(still.roles, []);
    await workspace.operator('POST /people/:email/reinstate', { params });
    assert.equal((await person('lena@example.test')).departed, null);
  });

  /** @proves scim.leaver */
  test('a directory that writes an address in other letters means the same person: who leaves there has left', async () => {
    await workspace.apply([
      { kind: 'Person', email: 'rita@example.test', displayName: 'Rita', roles: ['owner'] },
      agent('agent-of-rita', 'rita@example.test'),
    ]);
    const { body, status } = await scim('POST', '/Users', user('Rita@Example.Test'));
    assert.equal(status, 201, JSON.stringify(body));
    assert.equal(body.emails[0].value, 'Rita@Example.Test', 'the directory reads what it wrote');
    const twice = await scim('POST', '/Users', user('rita-2', { emails: [{ value: 'RITA@example.test' }] }));
    assert.equal(twice.body.scimType, 'uniqueness');
    const { items } = await workspace.operator('GET /people');
    assert.deepEqual(
      items.filter(({ email }) => /^rita@/i.test(email)).map(({ email, provisioned }) => [email, provisioned]),
      [['rita@example.test', true]],
    );
    await scim('PATCH', `/Users/${body.id}`, patch({ op: 'replace', path: 'displayName', value: 'Rita R.' }));
    assert.equal((await person('rita@example.test')).departed, null, 'the same address is no other one');
    await scim('PATCH', `/Users/${body.id}`, patch({ op: 'replace', path: 'active', value: false }));
    assert.ok((await person('rita@example.test')).departed);
    const view = await workspace.operator('GET /agents/:name', { params: { name: 'agent-of-rita' } });
    assert.equal(view.state, 'suspended');
  });

  test('of changes to a group at once none is lost: who was taken out does not come back with somebody else', async () => {
    const users = await Promise.all(
      ['m1', 'm2', 'm3', 'm4', 'm5', 'm6'].map(
        async (name) => (await scim('POST', '/Users', user(`${name}@example.test`))).body.id as string,
      ),
    );
    const [first, ...others] = users;
    const group = await scim('POST', '/Groups', {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
      displayName: 'Raced',
      members: [{ value: first }],
    });
    const path = `/Groups/${group.body.id}`;
    const answers = await Promise.all([
      ...others.map((value) => scim('PATCH', path, patch({ op: 'add', path: 'members', value: [{ value }] }))),
      scim('PATCH', path, patch({ op: 'remove', path: `members[value eq "${first}"]` })),
    ]);
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    const { body } = await scim('GET', path);
    assert.deepEqual(body.members.map(({ value }: { value: string }) => value).sort(), [...others].sort());
    assert.equal(body.meta.version, 'W/"7"');
    // Of two who have read the same version, one is told to read again; also where it is about deleting.
    const version = { 'if-match': 'W/"7"' };
    const both = await Promise.all(
      ['A', 'B'].map((externalId) =>
        scim('PATCH', path, patch({ op: 'replace', path: 'externalId', value: externalId }), version),
      ),
    );
    assert.deepEqual(both.map(({ status }) => status).sort(), [200, 412]);
    assert.equal((await scim('DELETE', path, undefined, version)).status, 412);
    assert.equal((await scim('DELETE', `/Users/${first}`, undefined, { 'if-match': 'W/"99"' })).status, 412);
    assert.equal((await scim('DELETE', path, undefined, { 'if-match': 'W/"8"' })).status, 204);
  });

  test('a directory’s group is not the group that a manifest declares by the same name', async () => {
    await workspace.apply([
      { kind: 'Group', name: 'platform', members: ['gina@example.test'] },
      {
        kind: 'ControlPolicy',
        name: 'platform-only',
        cedar: `@id("refresh") permit (principal in Group::"platform", action in Action::"refresh", resource);`,
      },
    ]);
    const { body } = await scim('POST', '/Users', user('olga@example.test'));
    await scim('POST', '/Groups', {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
      displayName: 'platform',
      members: [{ value: body.id }],
    });
    const refresh = { params: { name: 'shop' } };
    const olga = await workspace.person('olga@example.test');
    await assert.rejects(olga.api('POST /servers/:name/refresh', refresh), /role\.missing/);
    const gina = await workspace.person('gina@example.test');
    await gina.api('POST /servers/:name/refresh', refresh);
  });

  /** @proves scim.attributes */
  test('an answer has the attributes that were asked for, or all but those that were not wanted (RFC 7644 §3.9)', async () => {
    const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
    const names = (resource: object) => Object.keys(resource).sort();
    const mia = user('mia@example.test', { [ENTERPRISE]: { department: 'Tools', employeeNumber: '7' } });
    // What is answered to a change is cut as well; the headers stay.
    const made = await scim('POST', '/Users?attributes=userName', mia);
    assert.deepEqual([made.status, names(made.body)], [201, ['id', 'schemas', 'userName']]);
    assert.match(made.headers.get('location') ?? '', new RegExp(`/Users/${made.body.id}$`));
    assert.equal(made.headers.get('etag'), 'W/"1"');
    const path = `/Users/${made.body.id}`;
    const get = async (query: string) => (await scim('GET', `${path}?${query}`)).body;

    assert.deepEqual(names(await get('attributes=USERNAME,emails')), ['emails', 'id', 'schemas', 'userName']);
    const parts = await get('attributes=name.givenName,emails.value');
    assert.deepEqual([parts.name, parts.emails], [{ givenName: 'Given' }, [{ value: 'mia@example.test' }]]);
    assert.deepEqual((await get(`attributes=${ENTERPRISE}:department`))[ENTERPRISE], { department: 'Tools' });
    assert.deepEqual((await get(`attributes=${ENTERPRISE}`))[ENTERPRISE], { department: 'Tools', employeeNumber: '7' });
    assert.deepEqual(names(await get('attributes=urn:ietf:params:scim:schemas:core:2.0:User:userName')), [
      'id',
      'schemas',
      'userName',
    ]);
    assert.deepEqual(names(await get('attributes=shoeSize')), ['id', 'schemas']);

    const all = await get('');
    const less = await get(`excludedAttributes=meta,name.formatted,id,${ENTERPRISE}:employeeNumber`);
    assert.deepEqual(
      names(less),
      names(all).filter((name) => name !== 'meta'),
      'id is always there',
    );
    assert.deepEqual(
      [less.name, less[ENTERPRISE]],
      [{ familyName: 'Family', givenName: 'Given' }, { department: 'Tools' }],
    );

    const replaced = await scim('PUT', `${path}?attributes=meta`, mia);
    assert.deepEqual(names(replaced.body), ['id', 'meta', 'schemas']);
    const change = patch({ op: 'replace', path: 'displayName', value: 'Mia' });
    const patched = await scim('PATCH', `${path}?attributes=displayName`, change);
    assert.deepEqual([patched.body.displayName, patched.body.userName], ['Mia', undefined]);

    // As Entra asks for groups, which may be large.
    const group = await scim('POST', '/Groups', {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
      displayName: 'Large',
      members: [{ value: made.body.id }],
    });
    assert.equal(group.body.members.length, 1);
    const without = await scim('GET', `/Groups/${group.body.id}?excludedAttributes=members`);
    assert.deepEqual([without.body.displayName, without.body.members], ['Large', undefined]);
    const listed = await scim('GET', '/Groups?excludedAttributes=members');
    assert.ok(listed.body.totalResults > 0);
    for (const each of listed.body.Resources) assert.equal(each.members, undefined);

    for (const query of [
      'attributes=userName&excludedAttributes=name',
      'attributes=emails[type eq]',
      'attributes=a b',
    ]) {
      const refused = await scim('PATCH', `${path}?${query}`, patch({ op: 'remove', path: 'displayName' }));
      assert.deepEqual([refused.status, refused.body.scimType], [400, 'invalidValue'], query);
    }
    const many = Array.from({ length: 101 }, (_, at) => `a${at}`).join(',');
    assert.equal((await scim('GET', `${path}?attributes=${many}`)).body.scimType, 'tooMany');
    assert.equal((await get('')).displayName, 'Mia', 'what was refused has changed nothing');
    assert.equal((await scim('GET', '/ServiceProviderConfig?attributes=patch')).body.filter.supported, true, '§4');
  });

  /** @proves scim.costly */
  test('a filter or path that would keep the server busy is refused before it is read', async () => {
    const { body } = await scim('POST', '/Users', user('pia@example.test'));
    const costly = [
      `displayName eq "${'\\'.repeat(60)}`,
      `displayName eq "${'\n'.repeat(60)}`,
      Array.from({ length: 30 }, () => '(active pr or userName pr)').join(' and '),
      Array.from({ length: 12 }, (_, at) => `a${at}[x eq 1 or y eq 2]`).join('.'),
      Array.from({ length: 100 }, () => 'userName pr').join(' and '),
    ];
    for (const filter of [...costly, `userName pr ${' '.repeat(2_000)}`]) {
      const refused = await scim('GET', `/Users?filter=${encodeURIComponent(filter)}`);
      assert.deepEqual([refused.status, refused.body.scimType], [400, 'invalidFilter'], filter);
    }
    for (const filter of [...costly, 'a.'.repeat(1_000)])
      for (const operation of [
        { op: 'replace', path: `emails[${filter}].value`, value: 'x' },
        { op: 'add', value: { [`emails[${filter}].value`]: 'x' } },
      ]) {
        const refused = await scim('PATCH', `/Users/${body.id}`, patch(operation));
        assert.deepEqual([refused.status, refused.body.scimType], [400, 'invalidPath'], JSON.stringify(operation));
      }
    const find = async (filter: string) => (await scim('GET', `/Users?filter=${encodeURIComponent(filter)}`)).body;
    const asked = 'emails[type eq "work" and value eq "pia@example.test"] and active eq true';
    assert.equal((await find(asked)).totalResults, 1);
    assert.equal((await find('userName sw "pia" and (active eq true or userName co "x")')).totalResults, 1);
    assert.equal((await find(`${asked} and (active eq true or userName co "x")`)).scimType, 'invalidFilter');
    // Where an index serves it, a comparison is read by ourselves, escapes and all.
    await scim('POST', '/Users', user('EXAMPLE\\quinn', { emails: [{ value: 'quinn@example.test' }] }));
    const escaped = 'userName eq "EXAMPLE\\\\quinn"';
    assert.equal((await find(escaped)).totalResults, 1);
  });

  test('nobody offboards themselves, or the last admin', async () => {
    const one = (email: string, role: Role) => ({ kind: 'Person' as const, email, displayName: email, roles: [role] });
    await workspace.apply([one('sam@example.test', 'security'), one('tess@example.test', 'admin')]);
    const sam = await workspace.person('sam@example.test');
    const leave = (email: string) => sam.api('POST /people/:email/offboard', { params: { email } });
    await assert.rejects(leave('sam@example.test'), /offboard\.oneself/);
    const { items } = await workspace.operator('GET /people');
    const admins = items.filter(({ roles }) => roles.includes('admin')).map(({ email }) => email);
    for (const email of admins.filter((each) => each !== 'tess@example.test')) await leave(email);
    await assert.rejects(leave('tess@example.test'), /people\.last-admin/);
  });

  /** @proves people.last-admin */
  test('no apply takes the last admin away; a directory does, and it is on record', async () => {
    const one = (email: string, roles: Role[]) => ({ kind: 'Person' as const, email, displayName: email, roles });
    const others = async () =>
      (await workspace.operator('GET /people')).items
        .filter(({ roles, source }) => source === 'manifest' && roles.includes('admin'))
        .map(({ email }) => one(email, ['auditor']));
    await workspace.apply([
      { kind: 'RoleMapping', name: 'admins', group: 'Admins', roles: ['admin'] },
      one('uma@example.test', ['admin']),
      ...(await others()).filter(({ email }) => email !== 'uma@example.test'),
    ]);
    const uma = await workspace.person('uma@example.test');
    const noAdmin = async () =>
      (await workspace.operator('GET /actions', { query: { operation: 'people.no-admin' } })).items.length;
    const before = await noAdmin();
    const stepDown = [manifest.parse(one('uma@example.test', ['auditor']))];
    for (const route of ['POST /plan', 'POST /apply'] as const)
      await assert.rejects(uma.api(route, { body: { manifests: stepDown } }), /people\.last-admin/);
    assert.equal(await noAdmin(), before);

    // An admin by a group of the directory is one: uma may go now, and then the directory takes the other.
    const { body: vera } = await scim('POST', '/Users', user('vera@example.test'));
    const { body: walt } = await scim('POST', '/Users', user('walt@example.test'));
    const members = (...ids: string[]) =>
      patch({ op: 'replace', path: 'members', value: ids.map((value) => ({ value })) });
    const { body: admins } = await scim('POST', '/Groups', {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
      displayName: 'Admins',
      members: [{ value: vera.id }],
    });
    await uma.api('POST /apply', { body: { manifests: stepDown } });
    assert.equal((await scim('PATCH', `/Groups/${admins.id}`, members(walt.id))).status, 200);
    assert.equal(await noAdmin(), before, 'handed on within the group');
    const moved = await scim('PUT', `/Users/${walt.id}`, user('walter@example.test'));
    assert.equal(moved.status, 200, JSON.stringify(moved.body));
    assert.deepEqual([await noAdmin(), (await person('walter@example.test')).roles], [before, ['admin']]);
    const gone = await scim('PATCH', `/Users/${walt.id}`, patch({ op: 'replace', path: 'active', value: false }));
    assert.equal(gone.status, 200);
    assert.equal(await noAdmin(), before + 1);
    assert.deepEqual((await person('walter@example.test')).roles, []);
    // The way out: the operator of the server's host.
    await workspace.apply([one('uma@example.test', ['admin'])]);
    await assert.rejects(uma.api('POST /apply', { body: { manifests: stepDown } }), /people\.last-admin/);
  });

  /** @proves people.successor */
  test('nobody has somebody leave and takes their agents over', async () => {
    const one = (email: string, roles: Role[], more: object = {}) => ({
      kind: 'Person' as const,
      email,
      displayName: email,
      roles,
      ...more,
    });
    await workspace.apply([
      one('xena@example.test', ['security', 'owner', 'approver']),
      one('yuri@example.test', ['owner']),
      agent('yuris', 'yuri@example.test'),
    ]);
    const xena = await workspace.person('xena@example.test');
    const leave = (body: object) =>
      xena.api('POST /people/:email/offboard', { params: { email: 'yuri@example.test' }, body });
    await assert.rejects(leave({ successor: 'xena@example.test' }), /403 offboard\.successor-oneself/);
    assert.equal((await person('yuri@example.test')).departed, null, 'nothing was done');
    const left = await leave({});
    assert.deepEqual([left.successor, left.suspended], [null, ['yuris']]);
    await assert.rejects(leave({ successor: 'xena@example.test' }), /offboard\.successor-oneself/, 'nor afterwards');
    // Somebody else may name them.
    const settled = await workspace.operator('POST /people/:email/offboard', {
      params: { email: 'yuri@example.test' },
      body: { successor: 'xena@example.test' },
    });
    assert.deepEqual(settled.handedOver, ['yuris']);
  });

  test('people are listed a page at a time, by address, and found by words', async () => {
    const all = (await workspace.operator('GET /people', { query: { limit: '200' } })).items.map(({ email }) => email);
    assert.deepEqual(all, [...all].sort());
    const paged: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: Record<string, string> = { limit: '3', cursor };
      const page: Api['GET /people'] = await workspace.operator('GET /people', { query });
      assert.ok(page.items.length <= 3);
      paged.push(...page.items.map(({ email }) => email));
      cursor = page.cursor;
    }
    assert.deepEqual(paged, all);
    const found = await workspace.operator('GET /people', { query: { search: 'GINA auditor' } });
    assert.deepEqual(
      found.items.map(({ email }) => email),
      ['gina@example.test'],
    );
    assert.deepEqual((await workspace.operator('GET /people', { query: { search: 'nobody-here' } })).items, []);
    await assert.rejects(workspace.operator('GET /people', { query: { limit: '201' } }), /400/);
  });

  test('what is larger than its limit is refused', async () => {
    const many = await scim('PATCH', '/Users/none', patch(...Array.from({ length: 1_001 }, () => ({ op: 'add' }))));
    assert.deepEqual([many.status, many.body.scimType], [413, 'tooMany']);
    const large = await scim('POST', '/Users', user('large@example.test', { title: 'x'.repeat(2 * 1024 * 1024) }));
    assert.equal(large.status, 413);
    const nul = await scim('POST', '/Users', user('nul@example.test', { title: 'a\u0000b' }));
    assert.deepEqual([nul.status, nul.body.scimType], [400, 'invalidValue']);
  });

  test('what does not fit is refused in SCIM’s own words', async () => {
    for (const [method, path, body, status] of [
      ['POST', '/Users', { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'] }, 400],
      ['POST', '/Users', user('no-address', { emails: [] }), 400],
      // Cyrillic, right-to-left, a Kelvin sign: each would read as somebody else.
      ['POST', '/Users', user('gin\u0430@example.test'), 400],
      ['POST', '/Users', user('\u202egina@example.test'), 400],
      ['POST', '/Users', user('\u212aim@example.test'), 400],
      ['GET', `/Users?filter=${encodeURIComponent('userName eq')}`, undefined, 400],
      ['GET', '/Users/none', undefined, 404],
      ['PATCH', '/Users/none', patch({ op: 'explode' }), 404],
      [
        'POST',
        '/Groups',
        { schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'], displayName: 'G', members: [{ value: 'none' }] },
        400,
      ],
      ['PUT', '/Users', {}, 405],
    ] as const) {
      const answer = await scim(method, path, body);
      assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.body)}`);
      assert.equal(answer.body.status, String(status));
    }
    const { body } = await scim('GET', '/Users');
    const { id, meta } = body.Resources[0];
    assert.equal(
      (
        await scim('PATCH', `/Users/${id}`, patch({ op: 'replace', path: 'displayName', value: 'N' }), {
          'if-match': 'W/"99"',
        })
      ).status,
      412,
    );
    assert.equal(
      (
        await scim('PATCH', `/Users/${id}`, patch({ op: 'replace', path: 'displayName', value: 'N' }), {
          'if-match': meta.version,
        })
      ).status,
      200,
    );
  });
});
