import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PublicJwk } from '@gatehouse/protocol';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../../test/support/postgres.ts';
import { digestJson } from '../platform/index.ts';
import { thumbprint } from './keys.ts';
import {
  agentInput,
  baseInputs,
  by,
  manifests,
  newKey,
  openWorkspace,
  shopInput,
  tool,
  type Workspace,
} from './testing/workspace.ts';

const postgres = await startPostgres();
const options = { prune: false, by };
const name = agentInput.name;
const details = {
  type: 'urn:gatehouse:task',
  template: 'refund-order',
  parameters: { order: 1, customer: 'c' },
  intent: 'refund',
} as const;

describe('two replicas on one PostgreSQL', { skip: postgres === undefined && 'PostgreSQL is missing' }, () => {
  const { createDatabase, close } = postgres as TestPostgres;
  let database: TestDatabase;
  let here: Workspace;
  let there: Workspace;

  before(async () => {
    database = await createDatabase();
    here = await openWorkspace({ database: database.url, replica: 'here' });
    there = await openWorkspace({ database: database.url, replica: 'there' });
    for (const [replica, { storage, registry }] of Object.entries({ here, there })) {
      await storage.feed.start(replica, (changes) => registry.refresh(changes));
      await registry.refresh([]);
    }
    await here.registry.apply(manifests(...baseInputs()), options);
    await everywhere();
  });
  after(async () => {
    await here[Symbol.asyncDispose]();
    await there[Symbol.asyncDispose]();
    await close();
  });

  const everywhere = async () => here.storage.feed.waitForAll(await here.storage.feed.head());

  test('what one applies the other shows, and finds unchanged', async () => {
    assert.deepEqual([...there.registry.snapshot().agents], [...here.registry.snapshot().agents]);
    assert.deepEqual([...there.registry.snapshot().servers], [...here.registry.snapshot().servers]);
    const changes = await there.registry.apply(manifests(...baseInputs()), { prune: true, by });
    assert.ok(changes.every(({ operation }) => operation === 'unchanged'));
    assert.deepEqual(await there.registry.exportManifests(), await here.registry.exportManifests());
  });

  test('of two that enrol and change the same agent at once, neither undoes the other', async () => {
    const keys = Array.from({ length: 6 }, newKey);
    await Promise.all(keys.map((key, at) => (at % 2 ? here : there).registry.addAgentKey(name, key, by)));
    await everywhere();
    for (const { registry } of [here, there]) {
      assert.equal(registry.snapshot().agents.get(name)?.manifest.keys.length, 6);
      assert.equal(registry.snapshot().agents.get(name)?.epoch, 7);
    }
  });

  /** @proves agent.one-key */
  test('of two that give one key to two agents at once, by whatever way, one is refused', async () => {
    const [one, other] = ['agent-one-prod', 'agent-other-prod'];
    await here.registry.apply(manifests({ ...agentInput, name: one }, { ...agentInput, name: other }), options);
    await everywhere();
    const ways = [
      ({ registry }: Workspace, agent: string, key: PublicJwk) => registry.addAgentKey(agent, key, by),
      ({ registry }: Workspace, agent: string, key: PublicJwk) => registry.enrolAgentKey(agent, key, { by, how: [] }),
      ({ registry }: Workspace, agent: string, key: PublicJwk) =>
        registry.apply(manifests({ ...agentInput, name: agent, keys: [key] }), options),
    ];
    for (const first of ways)
      for (const second of ways) {
        const key = newKey();
        const results = await Promise.allSettled([first(here, one, key), second(there, other, key)]);
        assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
        for (const result of results)
          if (result.status === 'rejected') assert.match(result.reason.code, /agent\.key-taken|manifest\.invalid/);
        await everywhere();
        const has = (agent: string) => there.registry.snapshot().agents.get(agent)?.manifest.keys ?? [];
        assert.equal([...has(one), ...has(other)].length, 1);
        const holder = has(one).length === 1 ? one : other;
        await there.registry.removeAgentKey(holder, thumbprint(key), by);
        await everywhere();
      }
    const key = newKey();
    await here.registry.addAgentKey(one, key, by);
    await here.registry.removeAgentKey(one, thumbprint(key), by);
    await everywhere();
    await there.registry.addAgentKey(other, key, by);
  });

  test('a definition that both look at is recorded once, and a change is held for both', async () => {
    const observe = (served: ReturnType<typeof tool>) =>
      Promise.all([here, there].map(({ registry }) => registry.observeDefinitions('shop', [served], 'gatehouse')));
    await observe(tool('get_order'));
    await observe(tool('get_order', 'Changed.'));
    await everywhere();
    for (const { registry } of [here, there])
      assert.equal(registry.snapshot().servers.get('shop')?.tools.get('get_order')?.state, 'held');
    const { db } = here.storage;
    const operations = await db
      .selectFrom('records')
      .select('operation')
      .where('tool', '=', 'shop/get_order')
      .execute();
    assert.deepEqual(operations.map(({ operation }) => operation).sort(), ['definition.approve', 'definition.hold']);
    const of = { server: 'shop', kind: 'tool', name: 'get_order' } as const;
    const digest = digestJson(tool('get_order', 'Changed.').body);
    await there.registry.reviewDefinition(of, 'approve', digest, by);
    await everywhere();
    assert.equal(here.registry.snapshot().servers.get('shop')?.tools.get('get_order')?.digest, digest);
  });

  test('a task that one started is ended or killed for both', async () => {
    const ended = await here.registry.startTask(name, details);
    const killed = await there.registry.startTask(name, details);
    assert.equal((await there.registry.task(ended.id))?.state, 'active');
    await here.registry.endTask(ended.id, by);
    await everywhere();
    assert.equal((await there.registry.task(ended.id))?.state, 'ended');
    await here.registry.setAgentState(name, 'suspended', by, { killed: true });
    await everywhere();
    assert.equal((await there.registry.task(killed.id))?.state, 'killed');
    assert.notEqual(there.registry.snapshot().agents.get(name)?.killedAt, null);
    await assert.rejects(there.registry.startTask(name, details), { code: 'agent.killed' });
  });

  test('fences and what they guard agree on both after changes at once', async () => {
    const tiers = [1, 2, 3] as const;
    await Promise.all(
      tiers.map((tier, at) => {
        const tools = { ...shopInput.tools, get_order: { tier, effects: ['read' as const] } };
        const cedar = `// ${tier}`;
        const wanted = manifests({ ...shopInput, tools }, { kind: 'Policy', name: 'caps', cedar });
        return (at % 2 ? here : there).registry.apply(wanted, options);
      }),
    );
    await everywhere();
    for (const { registry } of [here, there]) {
      const snapshot = registry.snapshot();
      for (const key of ['policy', 'server:shop', 'tool:shop/get_order'])
        assert.equal(snapshot.fences.get(key), await here.fence(key), key);
      const tier = snapshot.servers.get('shop')?.tools.get('get_order')?.tier;
      assert.equal(snapshot.policies.get('caps')?.cedar, `// ${tier}`);
    }
  });
});
