import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { manifest } from '@gatehouse/protocol';
import { onEachDatabase } from '../../identity/people/testing/databases.ts';
import type { House } from '../../identity/people/testing/house.ts';
import { Secret } from '../../platform/index.ts';
import { createApprovals } from '../approvals.ts';
import { APPROVER, addAgent, OWNER, openDesk, pushOf, requestOf } from '../testing/desk.ts';
import { type Channels, createChannels } from './channels.ts';
import { channelLimits } from './limits.ts';

const secret = new Secret(`whsec_${Buffer.alloc(32, 1).toString('base64')}`);

/** What one replica has, with a place to send to that is looked at. */
function replica(
  house: House,
  answer: (id: string) => Promise<number> | number,
): { channels: Channels; sent: string[] } {
  const sent: string[] = [];
  const fetch = async (_: string, { headers }: { headers?: Record<string, string> } = {}) => {
    const id = headers?.['webhook-id'] ?? '';
    sent.push(id);
    return { status: await answer(id), headers: {}, body: Buffer.alloc(0) };
  };
  const outbound = { fetch, fetchJson: () => Promise.reject(new Error('not here')) };
  const channels = createChannels({
    ...house,
    lease: () => Promise.reject(new Error('no credentials here')),
    push: pushOf(house),
    outbound,
    openSecret: async () => secret,
    mask: (value) => value,
    publicUrl: 'http://localhost',
  });
  return { channels, sent };
}

async function openHooks(context: TestContext, database: string) {
  const { house } = await openDesk({ database });
  context.after(() => house.close());
  const hook = { kind: 'Channel', name: 'hook', webhook: { url: 'https://hooks.example.test', secret: 's' } };
  await house.registry.apply([manifest.parse(hook)], { prune: false, by: 'gatehouse' });
  return house;
}

const never = { deny: () => Promise.reject(), approveThrough: () => Promise.reject() };

/** Until no more than so many wait: two that are looked at together are done with in either order. */
async function settled(channels: Channels, waiting: number): Promise<void> {
  for (let tries = 0; tries < 3_000; tries++) {
    if ((await channels.show('hook')).waiting <= waiting) return;
    channels.wake();
    await sleep(10);
  }
  throw new Error('it does not settle');
}

onEachDatabase('channels', (database) => {
  /** @proves channel.once */
  test('replicas that look at once deliver each message once', async (context) => {
    const house = await openHooks(context, await database());
    const [one, two] = [replica(house, () => 204), replica(house, () => 204)];
    const approvals = await createApprovals({ ...house, tell: one.channels.tell });
    const agent = await addAgent(house);
    for (let amount = 0; amount < 12; amount++) await approvals.open(requestOf({ ...agent, arguments: { amount } }));
    const stops = [one.channels.start(never), two.channels.start(never)];
    await settled(one.channels, 0);
    for (const stop of stops) stop();
    const all = [...one.sent, ...two.sent];
    assert.deepEqual([all.length, new Set(all).size], [12, 12]);
  });

  /** @proves channel.once */
  test('what a replica has begun and never finished is taken over, and what is decided meanwhile is not sent at all', async (context) => {
    const house = await openHooks(context, await database());
    let release: (status: number) => void = () => undefined;
    const dies = replica(house, () => new Promise<number>((resolve) => (release = resolve)));
    const lives = replica(house, () => 204);
    const approvals = await createApprovals({ ...house, tell: dies.channels.tell });
    const agent = await addAgent(house);
    const first = await approvals.open(requestOf({ ...agent, arguments: { amount: 1 } }));
    const stop = dies.channels.start(never);
    while (dies.sent.length === 0) await sleep(5);
    stop();
    const second = await approvals.open(requestOf({ ...agent, arguments: { amount: 2 } }));
    await approvals.deny(second.id, APPROVER, 'no');
    const end = lives.channels.start(never);
    await settled(lives.channels, 2);
    house.pass(2 * channelLimits.firstRetryMs);
    await settled(lives.channels, 1);
    assert.deepEqual(lives.sent, [], 'the first is still with the other');
    house.pass(channelLimits.takeOverMs + 1);
    await settled(lives.channels, 0);
    end();
    assert.deepEqual(lives.sent, dies.sent, 'the same message with the same id');
    const deliveries = await lives.channels.deliveries('hook', { limit: 10 });
    const states = (approval: string) =>
      deliveries.filter((each) => each.approval === approval).map(({ state }) => state);
    assert.deepEqual(states(first.id), ['sent']);
    assert.deepEqual(states(second.id), ['dropped', 'dropped']);
    release(204);
  });

  /** @proves channel.bounded */
  test('beyond what may wait, messages are kept as given up; the approval waits all the same', async (context) => {
    const house = await openHooks(context, await database());
    const { channels } = replica(house, () => 204);
    const approvals = await createApprovals({ ...house, tell: channels.tell });
    const agent = await addAgent(house);
    const now = house.clock.now();
    const row = { channel: 'hook', approval: 'apr_x', event: 'asked', recipient: '', state: 'waiting', attempts: 0 };
    const times = {
      due_at: now,
      created_at: now,
      updated_at: now,
      about: null,
      reference: null,
      error: null,
      whole: 0,
      looked_at: 0,
    };
    const rows = Array.from({ length: channelLimits.waitingPerChannel }, (_, at) => ({
      id: `dlv_00${at}`,
      ...row,
      ...times,
    }));
    await house.storage.transaction(async (transaction) => {
      for (let at = 0; at < rows.length; at += 100)
        await transaction
          .insertInto('deliveries')
          .values(rows.slice(at, at + 100))
          .execute();
    });
    const { id } = await approvals.open(requestOf(agent));
    const [newest] = (await channels.deliveries('hook', { limit: 200 })).filter(({ approval }) => approval === id);
    assert.equal(newest?.state, 'dead');
    assert.match(newest?.error ?? '', /wait already/);
    assert.equal((await approvals.get(id))?.state, 'pending');
  });

  /** @proves channel.bounded */
  test('what the place refuses for good is given up at once, and what is old is removed', async (context) => {
    const house = await openHooks(context, await database());
    const { channels, sent } = replica(house, () => 410);
    const approvals = await createApprovals({ ...house, tell: channels.tell });
    await approvals.open(requestOf(await addAgent(house)));
    const stop = channels.start(never);
    await settled(channels, 0);
    stop();
    assert.equal(sent.length, 1);
    assert.deepEqual(
      [(await channels.show('hook')).dead, (await channels.show('hook')).lastError?.error],
      [1, 'it answered 410'],
    );
    house.pass(channelLimits.keepDays * 24 * 3_600_000 + 1);
    await channels.sweep();
    assert.deepEqual(await channels.deliveries('hook', { limit: 10 }), []);
  });

  /** @proves law-4.quiet-hours */
  test('a message of one’s own waits until one’s quiet hours are over; others are told at once', async (context) => {
    const { house } = await openDesk({ database: await database() });
    context.after(() => house.close());
    const mail = { kind: 'Channel', name: 'hook', mail: { host: 'mail.example.test', from: 'gate@example.test' } };
    const time = (at: number) => new Date(at).toISOString().slice(11, 16);
    const now = house.clock.now();
    const quietHours = { zone: 'UTC', from: time(now - 600_000), to: time(now + 300_000) };
    const quiet = { kind: 'Person', email: APPROVER, displayName: 'A', roles: ['approver'], quietHours };
    await house.registry.apply([manifest.parse(mail), manifest.parse(quiet)], { prune: false, by: 'gatehouse' });
    const { channels } = replica(house, () => 204);
    const approvals = await createApprovals({ ...house, tell: channels.tell });
    await approvals.open(requestOf(await addAgent(house)));
    const due = new Map(
      (await channels.deliveries('hook', { limit: 10 })).map(({ recipient, dueAt }) => [recipient, dueAt]),
    );
    assert.equal(due.get(OWNER), now);
    assert.equal(due.get(APPROVER), Math.floor((now + 300_000) / 60_000) * 60_000);
  });
});
