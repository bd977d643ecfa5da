import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addAgent, apply, openDesk } from '../approvals/testing/desk.ts';
import { createLeases } from '../credentials/leases/leases.ts';
import { createFakeProvider, narrowToTables } from '../credentials/testing/fake-provider.ts';
import type { House } from '../identity/people/testing/house.ts';
import type { Snapshot } from '../registry/index.ts';
import { createDirect, endsOf } from './direct.ts';
import { createKeying } from './key.ts';
import type { Action } from './types.ts';

let house: House;
before(async () => {
  ({ house } = await openDesk());
});
after(() => house.close());

/** @proves lease.destination */
test('a long-lived secret goes to no server but those it is for, also where one’s address is changed past the checks', async () => {
  const { task: id } = await addAgent(house, 'agent-keyed');
  const fake = createFakeProvider();
  const leases = createLeases({
    ...house,
    open: async () => ({
      ...{ provider: fake.provider, narrow: narrowToTables, declared: {}, destinations: ['https://api.example'] },
      ...{ guard: { key: 'object:CredentialProvider/orders', version: 0 } },
      life: { defaultSeconds: 900, maxSeconds: 1_800 },
    }),
    wake: () => undefined,
    declaredAt: () => undefined,
  });
  const keying = createKeying({ leases, log: house.log });
  const credential = { provider: 'orders', scope: {}, headers: { authorization: 'Bearer {password}' } };
  const task = { id, template: 'refund', parameters: {}, environment: 'prod', user: null };
  const call = (transport: object) =>
    keying.issue(
      {
        ...house.registry.snapshot(),
        servers: new Map([['shop', { manifest: { name: 'shop', transport: { ...transport, credential } } }]]),
      } as unknown as Snapshot,
      {
        ...{ server: 'shop', operation: 'tools/call', name: 'refund', arguments: {} },
        caller: {
          agent: 'agent-keyed',
          task: { ...task, expiresAt: house.clock.now() + 600_000 },
          chain: [],
        },
      } as unknown as Action,
      [],
    );
  const good = await call({ type: 'http', url: 'https://api.example/mcp' });
  assert.ok(good && good !== 'stale' && 'held' in good, JSON.stringify(good));
  for (const transport of [
    { type: 'http', url: 'https://evil.test/mcp' },
    { type: 'http', url: 'https://api.example:8443/mcp' },
    { type: 'http', url: 'http://api.example/mcp' },
    { type: 'stdio', command: ['cat'] },
  ]) {
    const refused = await call(transport);
    assert.ok(refused && refused !== 'stale' && 'refused' in refused, JSON.stringify(transport));
    assert.equal(refused.refused.code, 'lease.destination');
  }
  assert.equal(fake.counts.created, 1);
});

test('one for a single call whose provider lacks what is to be sent ends at once, and is not left to its time', async () => {
  const { task: id } = await addAgent(house, 'agent-part');
  const fake = createFakeProvider();
  const leases = createLeases({
    ...house,
    open: async () => ({
      ...{ provider: fake.provider, narrow: narrowToTables, declared: {} },
      ...{ guard: { key: 'object:CredentialProvider/orders', version: 0 } },
      life: { defaultSeconds: 900, maxSeconds: 1_800 },
    }),
    wake: () => undefined,
    declaredAt: () => undefined,
  });
  const credential = { provider: 'orders', scope: {}, perCall: true, headers: { authorization: 'Bearer {token}' } };
  const transport = { type: 'http', url: 'https://api.example/mcp', credential };
  const task = { id, template: 'refund', parameters: {}, environment: 'prod', user: null };
  const refused = await createKeying({ leases, log: house.log }).issue(
    {
      ...house.registry.snapshot(),
      servers: new Map([['shop', { manifest: { name: 'shop', transport } }]]),
    } as unknown as Snapshot,
    {
      ...{ server: 'shop', operation: 'tools/call', name: 'refund', arguments: {} },
      caller: { agent: 'agent-part', task: { ...task, expiresAt: house.clock.now() + 600_000 }, chain: [] },
    } as unknown as Action,
    [],
  );
  assert.ok(refused && refused !== 'stale' && 'refused' in refused, JSON.stringify(refused));
  assert.equal(refused.refused.code, 'lease.part');
  for (let ending = false; !ending; )
    ending = (await leases.list({ task: id, limit: 10 })).leases.every(({ state }) => state === 'revoking');
});

/** @proves lease.withdrawn */
test('a policy that changes between the dispatch and the hand-out keeps it from its agent, until it is decided on anew', async () => {
  const { task: id } = await addAgent(house, 'agent-between');
  const fake = createFakeProvider();
  const leases = createLeases({
    ...house,
    open: async () => ({
      ...{ provider: fake.provider, narrow: narrowToTables, declared: {} },
      ...{ guard: { key: 'object:CredentialProvider/orders', version: 0 } },
      life: { defaultSeconds: 900, maxSeconds: 1_800 },
    }),
    wake: () => undefined,
    declaredAt: () => undefined,
  });
  const direct = createDirect({ leases });
  const keying = createKeying({ leases, log: house.log });
  const template = { name: 'refund', credentials: [{ provider: 'orders', scope: {} }] };
  const orders = { direct: { perTask: 5, perHour: 5 } };
  const task = { id, template: 'refund', parameters: {}, environment: 'prod', user: null };
  const handOut = async () => {
    const snapshot = house.registry.snapshot();
    const key = await direct.issue(
      {
        ...{ agents: snapshot.agents, templates: new Map([['refund', template]]) },
        credentialProviders: new Map([['orders', orders]]),
      } as never,
      {
        ...{ server: 'orders', arguments: { scope: {}, seconds: 300, residual: '' } },
        caller: {
          agent: 'agent-between',
          task: { ...task, expiresAt: house.clock.now() + 600_000 },
          chain: [],
        },
      } as never,
      [{ key: 'policy', version: snapshot.fences.get('policy') ?? 0 }],
      endsOf(undefined, undefined),
    );
    assert.ok(key !== 'stale' && 'held' in key, JSON.stringify(key));
    return key;
  };
  const decidedBefore = await handOut();
  await apply(house, [{ kind: 'Policy', name: 'later', cedar: '@id("later") forbid (principal, action, resource);' }]);
  await assert.rejects(keying.activate(decidedBefore, 'act_1'), { code: 'lease.stopped' });
  const rowOf = () =>
    house.storage.db
      .selectFrom('leases')
      .select(['state', 'handed_by'])
      .where('id', '=', decidedBefore.held.lease.id)
      .executeTakeFirst();
  assert.deepEqual({ ...(await rowOf()) }, { state: 'created', handed_by: null });
  const decidedAfter = await handOut();
  await keying.activate(decidedAfter, 'act_2');
  assert.equal(decidedAfter.held.lease.id, decidedBefore.held.lease.id);
  assert.deepEqual({ ...(await rowOf()) }, { state: 'active', handed_by: 'act_2' });
});
