import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ManifestInput, manifest } from '@gatehouse/protocol';
import { createLeases } from '../../credentials/leases/leases.ts';
import { createReconciler } from '../../credentials/leases/reconcile.ts';
import { createFakeProvider, narrowToTables } from '../../credentials/testing/fake-provider.ts';
import { onEachDatabase } from '../../identity/people/testing/databases.ts';
import { Secret } from '../../platform/index.ts';
import { addAgent, openDesk, pushOf } from '../testing/desk.ts';
import { createChannels } from './channels.ts';
import { channelLimits } from './limits.ts';

const [ANN, BOB] = ['ann@example.test', 'bob@example.test'];
const never = { deny: () => Promise.reject(), approveThrough: () => Promise.reject() };

const manifests: ManifestInput[] = [
  { kind: 'Person', email: ANN, displayName: 'Ann', roles: ['security'] },
  { kind: 'Person', email: BOB, displayName: 'Bob', roles: ['auditor'] },
  {
    ...{ kind: 'Channel', name: 'hook', tools: ['shop/*'] },
    webhook: { url: 'https://hooks.example.test', secret: 's' },
  },
  {
    ...{ kind: 'Channel', name: 'quiet', show: 'nothing' },
    webhook: { url: 'https://quiet.example.test', secret: 's' },
  },
  {
    ...{ kind: 'Channel', name: 'elsewhere', environments: ['dev'] },
    webhook: { url: 'https://elsewhere.example.test', secret: 's' },
  },
  { kind: 'Channel', name: 'letters', mail: { host: 'mail.example.test', from: 'gatehouse@example.test' } },
  { kind: 'Environment', name: 'dev' },
];

onEachDatabase('an alarm about a credential that could not be ended', (database) => {
  /** @proves lease.alarm */
  test('reaches those who look after credentials once for each, with what to do and no word of the provider’s, and so does its end', async (context) => {
    const { house } = await openDesk({ database: await database() });
    context.after(() => house.close());
    await house.registry.apply(
      manifests.map((each) => manifest.parse(each)),
      { prune: false, by: 'gatehouse' },
    );
    const posted: { to: string; body: string }[] = [];
    const fetch = async (to: string, { body }: { body?: unknown } = {}) => {
      posted.push({ to, body: String(body) });
      return { status: 204, headers: {}, body: Buffer.alloc(0) };
    };
    const channels = createChannels({
      ...house,
      lease: (id) => leases.get(id),
      push: pushOf(house),
      outbound: { fetch, fetchJson: () => Promise.reject(new Error('not here')) } as never,
      openSecret: async () => new Secret(`whsec_${Buffer.alloc(32, 1).toString('base64')}`),
      mask: (value) => value,
      publicUrl: 'http://localhost',
    });
    const fake = createFakeProvider();
    const deps = { ...house, alarm: channels.tellOfLease };
    const reconciler = createReconciler({ ...deps, openFor: () => fake.provider, isActive: () => true });
    const leases = createLeases({
      ...deps,
      open: async () => ({
        ...{ provider: fake.provider, narrow: narrowToTables, declared: {} },
        guard: { key: 'object:CredentialProvider/orders', version: 0 },
        life: { defaultSeconds: 900, maxSeconds: 1_800 },
      }),
      wake: () => undefined,
      declaredAt: () => undefined,
    });
    const { agent, task } = await addAgent(house);
    const issue = async (purpose: string) => {
      const of = { provider: 'orders', agent, task, environment: 'prod', purpose, asked: { tables: ['orders'] } };
      return (await leases.issue({ ...of, within: [], until: [] }, [])).lease.id;
    };
    const endUntilStuck = async (ids: string[]) => {
      fake.trouble.away = true;
      for (const id of ids) await leases.end(id, 'operator', 'odd');
      for (let time = 0; time < 12 * ids.length; time++) {
        await reconciler.work();
        house.pass(40_000);
      }
    };
    const events = async (channel: string) =>
      (await channels.deliveries(channel, { limit: 500 })).map(({ event, recipient }) =>
        `${event} ${recipient}`.trim(),
      );

    const id = await issue('server:shop');
    await endUntilStuck([id]);
    assert.equal((await leases.get(id)).state, 'stuck');
    assert.deepEqual(await events('letters'), [`lease-stuck ${ANN}`], 'not an auditor, not the owner of the agent');
    assert.deepEqual(await events('hook'), ['lease-stuck'], 'a channel for some tools too: a credential is of none');
    assert.deepEqual(await events('elsewhere'), []);

    context.after(channels.start(never));
    const told = async (count: number) => {
      for (let tries = 0; posted.length < count && tries < 400; tries++) {
        channels.wake();
        await sleep(10);
      }
      assert.equal(posted.length, count);
      return posted.slice(-2);
    };
    const alarms = await told(2);
    const named = JSON.parse(alarms.find(({ to }) => to.includes('hooks'))?.body ?? '');
    assert.deepEqual(
      [named.type, named.data.lease, named.data.provider, named.data.agent, named.data.url],
      ['lease.stuck', id, 'orders', agent, `http://localhost/leases/${id}`],
    );
    assert.ok(Number.isFinite(Date.parse(named.data.failingSince)));
    const quiet = alarms.find(({ to }) => to.includes('quiet'))?.body ?? '';
    assert.ok(quiet.includes(id) && !quiet.includes('orders') && !quiet.includes(agent));

    // Kept until its end is told, however long that takes.
    house.pass((channelLimits.keepDays + 1) * 24 * 3_600_000);
    await channels.sweep();
    fake.trouble.away = false;
    await reconciler.work();
    assert.equal((await leases.get(id)).state, 'revoked');
    const over = await told(4);
    assert.ok(over.every(({ body }) => body.includes('"type":"lease.over"') && body.includes('"state":"revoked"')));
    assert.ok(posted.every(({ body }) => !body.includes('CANARY') && !body.includes('ECONNREFUSED')));

    // An agent that has many made floods nobody: what waits for an approver is told as before.
    const lease = { ...(await leases.get(id)), state: 'stuck' as const };
    for (let at = 0; at < channelLimits.stuckPerHour + 3; at++)
      await house.storage.transaction((transaction) =>
        channels.tellOfLease(transaction, { ...lease, id: `lse_${at}` }),
      );
    assert.equal(
      (await events('hook')).filter((event) => event === 'lease-stuck').length - 1,
      channelLimits.stuckPerHour,
    );
  });
});
