import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { RequestOptions } from '../../../sdk/src/software-passkey.ts';
import { ORIGIN } from '../identity/people/testing/house.ts';
import { AGENT } from './testing/room.ts';
import { type Office, openOffice } from './testing/workdays.ts';
import type { Outcome, Sent } from './types.ts';

async function office(t: TestContext, ...given: Parameters<typeof openOffice>): Promise<Office> {
  const opened = await openOffice(...given);
  t.after(() => opened.close());
  return opened;
}

const tierOf = async (opened: Office, ...call: Parameters<Office['call']>) => {
  const outcome = await opened.call(...call);
  const { decision, kinds, words } = await opened.last();
  return { kind: outcome.kind, tier: decision?.tier, kinds, words, decision, outcome };
};

/** With the outcome, which is written behind the answer. */
async function recordsOf(opened: Office, outcome: Outcome) {
  assert.ok(outcome.kind === 'done');
  for (;;) {
    const records = await opened.recordsOf(outcome.actionId);
    if (records.at(-1)?.kind === 'outcome') return records;
    await setTimeout(5);
  }
}

/** As much as the tests need: the calls of few days. */
const soon = { baseline: { days: 3, calls: 40 } };

/** @proves baseline.learning */
test('while an agent is learned nothing is unusual, and it takes both days and calls', async (t) => {
  const opened = await office(t);
  await opened.days(5, 42);
  opened.at(3);
  const early = await tierOf(opened, 'pay', { account: 'mallory', amount: 9_000 });
  assert.deepEqual(
    [early.kind, early.tier, early.kinds, early.decision?.situation?.firstUse],
    ['done', 1, [], undefined],
  );
  const first = await tierOf(opened, 'list');
  assert.deepEqual([first.kind, first.tier, first.kinds, first.decision?.situation?.firstUse], ['done', 1, [], true]);
  const view = await opened.baseline.show(AGENT);
  assert.deepEqual([view.state, view.whole?.calls, view.whole?.days], ['learning', 212, 6]);
  opened.at(0);
  await opened.day(1);
  assert.equal((await opened.baseline.show(AGENT)).state, 'known');
});

/** @proves baseline.raises */
test('what a known agent does otherwise waits where it could do harm, and is seen to be unusual elsewhere', async (t) => {
  const opened = await office(t, soon);
  await opened.days(5, 18);
  opened.at(10);
  assert.deepEqual((await tierOf(opened, 'pay', { account: 'DE01', amount: 30 })).kinds, []);

  const read = await tierOf(opened, 'list');
  assert.deepEqual([read.kind, read.tier, read.kinds], ['done', 2, ['first-use']]);
  assert.match(read.words[0] ?? '', /has called tools 91 times in 6 days, and never shop\/list\./);

  const harm = await tierOf(opened, 'wipe', { path: '/orders' });
  assert.deepEqual([harm.kind, harm.tier, harm.kinds], ['pending', 3, ['first-use']]);

  const stranger = await tierOf(opened, 'pay', { account: 'mallory', amount: 30 });
  assert.deepEqual([stranger.kind, stranger.tier, stranger.kinds], ['pending', 3, ['resource']]);
  assert.match(stranger.words[0] ?? '', /on 2 that are known; what is given as account is none of them/);
  assert.match(stranger.decision?.reason ?? '', /Unusual for this agent: agent-support-prod has called shop\/pay/);

  const much = await tierOf(opened, 'pay', { account: 'DE01', amount: 200 });
  assert.deepEqual([much.kind, much.tier, much.kinds], ['pending', 3, ['amount']]);
  assert.match(much.words[0] ?? '', /The amount 200 is 8 times .* at most \(25\)/);

  opened.at(3);
  const night = await tierOf(opened, 'pay', { account: 'DE01', amount: 30 });
  assert.deepEqual([night.kind, night.tier, night.kinds], ['pending', 3, ['hour']]);
  assert.match(night.words[0] ?? '', /never between 16:00 and 09:00 UTC\./);
  const quiet = await tierOf(opened, 'look');
  assert.deepEqual([quiet.kind, quiet.tier, quiet.kinds], ['done', 2, ['hour']]);
});

/** @proves baseline.raises */
test('a rate far above what is usual is unusual', async (t) => {
  const opened = await office(t, soon);
  await opened.days(5, 18);
  opened.at(10);
  const kinds = new Set<string>();
  for (let at = 1; at <= 31; at++) {
    const { kinds: found } = await tierOf(opened, 'look');
    if (at <= 30) assert.deepEqual(found, [], `call ${at}`);
    for (const kind of found) kinds.add(kind);
  }
  assert.deepEqual([...kinds], ['rate']);
});

/** @proves baseline.marks */
test('its record is marked, and a result that is far too large is unusual although the call was not', async (t) => {
  const opened = await office(t, soon);
  await opened.days(5, 18);
  opened.at(10);
  const big: Sent = { result: 'success', body: { content: [{ type: 'text', text: 'x'.repeat(3_000_000) }] } };
  const outcome = await opened.call('look', {}, async () => big);
  assert.equal(outcome.kind, 'done');
  const record = (await recordsOf(opened, outcome)).at(-1);
  assert.deepEqual(
    [record?.kind, record?.result, record?.labels],
    ['outcome', 'anomalous', ['untrusted', 'anomalous']],
  );
  assert.match(
    record?.detail ?? '',
    /The result has about 3000\d\d\d bytes; what agent-support-prod gets of shop\/look/,
  );

  const listed = await opened.call('list');
  const records = await recordsOf(opened, listed);
  assert.deepEqual(
    records.map(({ kind, result, labels }) => [kind, result, labels.includes('anomalous')]),
    [
      ['dispatch', null, true],
      ['outcome', 'anomalous', true],
    ],
  );
  const { actions } = await opened.ledger.actions({ result: 'anomalous', limit: 10 });
  assert.deepEqual(new Set(actions.map(({ tool }) => tool)), new Set(['shop/look', 'shop/list']));
  const failed = await opened.call('list', {}, async () => ({ result: 'failure', body: { content: [] } }));
  const said = (await recordsOf(opened, failed)).at(-1);
  assert.deepEqual([said?.result, said?.labels], ['failure', ['anomalous']]);
});

/** @proves baseline.poisoning */
test('what was unusual teaches nothing until a person has approved or accepted it, and what was refused or failed never does', async (t) => {
  const opened = await office(t, soon);
  await opened.days(5, 18);
  const before = (await opened.baseline.show(AGENT)).whole?.calls;
  for (let at = 0; at < 3; at++) assert.deepEqual((await tierOf(opened, 'list')).kinds, ['first-use', 'hour']);
  await opened.call('drop_table', { table: 'orders' });
  await opened.call('wipe', { path: '/' });
  opened.at(10);
  await opened.call('look', {}, async () => ({ result: 'failure', body: {} }));
  const view = await opened.baseline.show(AGENT);
  assert.equal(view.whole?.calls, before);
  const list = view.tools.find(({ tool }) => tool === 'shop/list');
  assert.deepEqual([list?.calls, list?.unusual?.calls, list?.unusual?.kinds], [0, 3, { 'first-use': 3, hour: 3 }]);

  await opened.baseline.accept(AGENT, 'shop/list', 'person:owner@example.test', 'the new report');
  assert.deepEqual((await tierOf(opened, 'list')).kinds, []);
  opened.at(0);
  assert.deepEqual((await tierOf(opened, 'list')).kinds, []);
  assert.deepEqual((await tierOf(opened, 'look')).kinds, ['hour']);
  await assert.rejects(opened.baseline.accept(AGENT, 'shop/list', 'person:owner@example.test', 'again'), {
    code: 'baseline.nothing-unusual',
  });
  const [record] = await opened.house.records('agent.baseline.accept');
  assert.deepEqual([record?.agent, record?.requested_by], [AGENT, 'person:owner@example.test']);
});

/** @proves baseline.poisoning */
test('a person who approves an unusual call, shown that it is, makes the next one usual', async (t) => {
  const opened = await office(t, soon);
  await opened.days(5, 18);
  opened.at(10);
  const { passkey } = await opened.house.enrol('owner@example.test');
  const again = async () => {
    const waits = await opened.call('pay', { account: 'DE99', amount: 20 });
    assert.ok(waits.kind === 'pending');
    assert.match(waits.approval.decision.reason, /what is given as account is none of them/);
    return waits.approval.id;
  };
  const approval = await again();
  const options = await opened.approvals.approvalOptions(approval, 'owner@example.test');
  await opened.approvals.approve(approval, 'owner@example.test', {
    ...passkey.assert(options as unknown as RequestOptions, ORIGIN),
  });
  assert.equal((await opened.call('pay', { account: 'DE99', amount: 20 })).kind, 'done');
  assert.equal((await opened.call('pay', { account: 'DE99', amount: 21 })).kind, 'done');
  assert.equal((await opened.call('pay', { account: 'DE98', amount: 21 })).kind, 'pending');
});

/** @proves baseline.reset */
test('a baseline that is begun anew is learned again, on record, and what was learned for the old one is not added', async (t) => {
  const opened = await office(t, soon);
  await opened.days(5, 18);
  opened.at(10);
  await opened.call('look');
  await opened.baseline.reset(AGENT, 'person:owner@example.test', 'moved to another shift');
  const empty = await opened.baseline.show(AGENT);
  assert.deepEqual([empty.state, empty.whole, empty.tools], ['learning', null, []]);
  opened.at(3);
  assert.deepEqual((await tierOf(opened, 'wipe', { path: '/a' })).kinds, []);
  const [record] = await opened.house.records('agent.baseline.reset');
  assert.match(record?.changes[0] ?? '', /learned anew: moved to another shift/);
});

/** @proves baseline.off */
test('an environment can switch the rules off: such calls run, and are marked all the same', async (t) => {
  const opened = await office(t, soon);
  await opened.days(5, 18);
  await opened.shop({ baseline: { ...soon.baseline, rulesOff: ['unusual-grave-call', 'unusual-call'] } });
  opened.at(3);
  const { kind, tier, kinds, outcome } = await tierOf(opened, 'wipe', { path: '/' });
  assert.deepEqual([kind, tier, kinds], ['done', 1, ['first-use', 'hour']]);
  assert.equal((await recordsOf(opened, outcome)).at(-1)?.result, 'anomalous');
});
