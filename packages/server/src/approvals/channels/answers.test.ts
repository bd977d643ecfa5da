import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Approval, type ChannelManifest, manifest } from '@gatehouse/protocol';
import { onEachDatabase } from '../../identity/people/testing/databases.ts';
import { GatehouseError, Secret } from '../../platform/index.ts';
import { createApprovals } from '../approvals.ts';
import { APPROVER, addAgent, openDesk, pushOf, requestOf } from '../testing/desk.ts';
import { createAnswers } from './answers.ts';
import { createChannels } from './channels.ts';
import { channelLimits } from './limits.ts';
import { createLooks } from './look.ts';
import { messageOf } from './message.ts';
import { enqueueAsked } from './outbox.ts';
import { sealTold } from './told.ts';
import type { Answer, Channel } from './types.ts';

const hook = manifest.parse({
  kind: 'Channel',
  name: 'hook',
  people: { ada: APPROVER },
  webhook: { url: 'https://hooks.example.test', secret: 's' },
}) as ChannelManifest;

onEachDatabase('answers', (database) => {
  /** @proves channel.heard */
  test('what failed here is heard when it comes again; what was decided is not, for as long as its approval waits', async (context) => {
    const { house } = await openDesk({ database: await database() });
    context.after(() => house.close());
    const approvals = await createApprovals(house);
    const opened = await approvals.open(requestOf(await addAgent(house)));
    const waits: Approval = { ...opened, expiresAt: house.clock.now() + 4 * 3_600_000 };
    const answers = createAnswers({ ...house, approval: async (id) => (id === waits.id ? waits : undefined) });
    const no: Answer = {
      message: 'm1',
      approval: waits.id,
      decision: 'deny',
      reason: '',
      who: 'ada',
      evidence: {},
    };
    await assert.rejects(answers.take(hook, no), { code: 'channel.starting' });
    const failures = [new Error('the disk is full'), new GatehouseError('unavailable', 'storage.busy', 'Try again.')];
    const denied: string[] = [];
    answers.start({
      async deny(id, person, _reason, _channel, useUp) {
        await house.storage.transaction(async (transaction) => {
          await useUp(transaction);
          const failure = failures.pop();
          if (failure) throw failure;
        });
        denied.push(`${id} ${person}`);
        return waits;
      },
      approveThrough: () => Promise.reject(new Error('not asked')),
    });
    await assert.rejects(answers.take(hook, no), { code: 'storage.busy' });
    await assert.rejects(answers.take(hook, no), /disk is full/);
    assert.ok('approval' in (await answers.take(hook, no)));
    assert.deepEqual(denied, [`${waits.id} ${APPROVER}`]);
    house.pass((channelLimits.replaySeconds + 1) * 1_000);
    await house.storage.transaction((transaction) =>
      transaction.deleteFrom('channel_messages').where('expires_at', '<', house.clock.now()).execute(),
    );
    const again = await answers.take(hook, no);
    assert.equal('refused' in again && again.refused.code, 'channel.replayed');
    assert.equal(denied.length, 1);
  });

  /** @proves channel.heard */
  test('what was said is used up by the transaction that decides, and by no other: whatever stops between the two, it is said again', async (context) => {
    const { house } = await openDesk({ database: await database() });
    context.after(() => house.close());
    await house.registry.apply([hook], { prune: false, by: 'gatehouse' });
    const approvals = await createApprovals(house);
    const { id } = await approvals.open(requestOf(await addAgent(house)));
    const answers = createAnswers({ ...house, approval: approvals.get });
    const heard = () => house.storage.db.selectFrom('channel_messages').select('message').execute();
    const no: Answer = { message: 'm1', approval: id, decision: 'deny', reason: '', who: 'ada', evidence: {} };
    const dying = await createApprovals({
      ...house,
      recordChange: () => Promise.reject(new Error('killed before it was written')),
    });
    answers.start(dying);
    await assert.rejects(answers.take(hook, no), /killed/);
    assert.deepEqual([await heard(), (await approvals.get(id))?.state], [[], 'pending']);
    answers.start(approvals);
    assert.ok('approval' in (await answers.take(hook, no)));
    assert.deepEqual([(await heard()).length, (await approvals.get(id))?.state], [1, 'denied']);
    // A yes that is refused is used up too: it can't be kept until a rule accepts it.
    const yes: Answer = { ...no, message: 'm2', decision: 'approve' };
    const codeOf = async () => ((await answers.take(hook, yes)) as { refused: { code: string } }).refused.code;
    assert.notEqual(await codeOf(), 'channel.replayed');
    assert.equal(await codeOf(), 'channel.replayed');
  });

  /** @proves law-4.break-glass-told */
  test('whoever breaks the glass is heard in every channel: a message for each move, with no secret of the reason', async (context) => {
    const { house } = await openDesk({ database: await database() });
    context.after(() => house.close());
    await house.registry.apply([manifest.parse({ ...hook, show: 'tool' })], { prune: false, by: 'gatehouse' });
    const bodies: string[] = [];
    const fetch = async (_: string, { body }: { body?: unknown } = {}) => {
      bodies.push(String(body));
      return { status: 204, headers: {}, body: Buffer.alloc(0) };
    };
    const channels = createChannels({
      ...house,
      lease: () => Promise.reject(new Error('no credentials here')),
      push: pushOf(house),
      outbound: { fetch, fetchJson: () => Promise.reject(new Error('not here')) } as never,
      openSecret: async () => new Secret(`whsec_${Buffer.alloc(32, 1).toString('base64')}`),
      mask: (value) => JSON.parse(JSON.stringify(value).replaceAll('hunter2', '[secret]')),
      publicUrl: 'http://localhost',
    });
    const approvals = await createApprovals({ ...house, tell: channels.tell });
    const server = {
      kind: 'ToolServer',
      name: 'shop',
      environments: ['prod'],
      tools: { refund: { tier: 3, effects: ['pay'] } },
    };
    const transport = { type: 'stdio', command: 'node' };
    await house.registry.apply([manifest.parse({ ...server, transport })], { prune: false, by: 'gatehouse' });
    const { task } = await addAgent(house);
    const reason = 'double charges since hunter2';
    const request = { task, tools: ['shop/refund'], incident: 'INC-7', reason, seconds: 900 };
    const { id } = await approvals.breakGlass.request(request, `person:${APPROVER}`);
    const stop = channels.start({ deny: () => Promise.reject(), approveThrough: () => Promise.reject() });
    context.after(stop);
    const told = async (count: number) => {
      for (let tries = 0; bodies.length < count && tries < 400; tries++) {
        channels.wake();
        await sleep(10);
      }
      assert.equal(bodies.length, count);
    };
    await told(1);
    await approvals.breakGlass.end(id, `person:${APPROVER}`);
    await told(2);
    assert.match(bodies[0] ?? '', /"type":"break-glass\.moved".*INC-7/);
    assert.ok(!bodies.join().includes('hunter2'));
    assert.match(bodies[1] ?? '', /"state":"ended"/);
  });

  /** @proves channel.all-asked, channel.bound */
  test('tickets that nobody answers keep no later one from being asked about', async (context) => {
    const { house } = await openDesk({ database: await database() });
    context.after(() => house.close());
    const approvals = await createApprovals(house);
    const asked = new Set<string>();
    const channel: Channel = {
      send: async () => null,
      look: async (_, { id }) => {
        asked.add(id);
        return null;
      },
    };
    const ids: string[] = [];
    for (let count = 0; count < 4; count++) {
      const agent = await addAgent(house, `asks-${count}`);
      for (let amount = 0; amount < 15; amount++)
        ids.push((await approvals.open(requestOf({ ...agent, arguments: { amount } }))).id);
    }
    const channels = new Map([[hook.name, hook]]);
    const snapshot = house.registry.snapshot();
    const all: Approval[] = [];
    for (const id of ids) all.push((await approvals.get(id)) as Approval);
    for (const of of all)
      await house.storage.transaction(async (transaction) => {
        await enqueueAsked(transaction, of, [], { clock: house.clock, channels, snapshot, open: () => channel });
      });
    await house.storage.transaction(async (transaction) => {
      for (const row of await transaction.selectFrom('deliveries').selectAll().execute()) {
        const digest = all.find((each) => each.id === row.approval)?.digest ?? '';
        const seal = sealTold(house.sealer, { ...row, reference: 'r' }, digest);
        const set = { state: 'sent', reference: 'r', seal };
        await transaction.updateTable('deliveries').set(set).where('id', '=', row.id).execute();
      }
    });
    const looks = createLooks({
      ...house,
      channels: () => channels,
      open: () => channel,
      answer: () => Promise.reject(new Error('nothing was said')),
      approval: approvals.get,
      message: (of) => messageOf(of, 'asked', { show: 'arguments', publicUrl: '', mask: (value) => value }),
    });
    await looks.look(hook);
    assert.equal(asked.size, channelLimits.looksAtOnce);
    house.pass(5_000);
    await looks.look(hook);
    assert.equal(asked.size, ids.length);

    // Who writes to the database points the message of one approval to the ticket of another, and nobody is asked.
    asked.clear();
    await house.storage.transaction(async (transaction) => {
      await transaction.updateTable('deliveries').set({ reference: 'another' }).execute();
    });
    house.pass(5_000);
    await looks.look(hook);
    assert.equal(asked.size, 0);
  });
});
