import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addAgent, openDesk } from '../approvals/testing/desk.ts';
import { createLeases } from '../credentials/leases/leases.ts';
import { createFakeProvider, narrowToTables } from '../credentials/testing/fake-provider.ts';
import type { House } from '../identity/people/testing/house.ts';
import type { Snapshot } from '../registry/index.ts';
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
