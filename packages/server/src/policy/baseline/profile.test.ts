import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { deviationsOf, type Looked } from './deviations.ts';
import { baselineLimits as limits } from './limits.ts';
import { bytesOf, lookAt, whenIs } from './look.ts';
import { type Cell, isWatched, learn, newProfile, newWhole, type Profile, type Whole } from './profile.ts';

const needs = { days: 7, calls: 200 };
const TOOL = 'shop/pay';

interface Call {
  day: number;
  clock: number;
  calls?: number;
  amount?: number;
  account?: string;
  said?: boolean;
}

/** 2026-01-05 is a Monday. */
const MONDAY = Date.UTC(2026, 0, 5) / 86_400_000;

function cellOf({ day, clock, calls = 1, amount = 10, account = 'a', said = false }: Call): Cell {
  const hour = ((MONDAY + day) * 24 + clock) * 3_600_000;
  return {
    hour,
    day: MONDAY + day,
    clock,
    weekday: (day + 1) % 7,
    said,
    calls,
    first: hour,
    last: hour,
    bytes: 100,
    bytesInAll: 100 * calls,
    amount,
    resources: [account],
  };
}

const lookedOf = (call: Call): Looked => {
  const { hour, clock, weekday, amount } = cellOf(call);
  return {
    agent: 'agent-x',
    tool: TOOL,
    isGrave: true,
    hour,
    clock,
    weekday,
    sent: { tool: 0, whole: 0 },
    amount,
    resources: [{ argument: 'to', digest: call.account ?? 'a' }],
  };
};

interface Agent {
  whole: Whole;
  tool: Profile;
}

/** As the choke point does it: what is unusual and was not approved is not learned from. */
function act({ whole, tool }: Agent, call: Call): string[] {
  const kinds = deviationsOf(whole, tool, lookedOf(call)).map(({ kind }) => kind);
  if (kinds.length === 0 || call.said) learn(whole, tool, cellOf(call), needs);
  return kinds;
}

/** Monday to Friday, from nine to five; four calls an hour. */
function known(days = 21): Agent {
  const agent: Agent = { whole: newWhole('UTC'), tool: newProfile() };
  for (let day = 0; day < days; day++)
    if (day % 7 < 5)
      for (let clock = 9; clock < 17; clock++)
        for (let at = 0; at < 4; at++) act(agent, { day, clock, amount: 10 + at, account: at % 2 ? 'a' : 'b' });
  assert.ok(agent.whole.learnedAt !== null);
  return agent;
}

/** @proves baseline.poisoning */
test('an agent that widens slowly, for months, finds each step beyond what was learned as unusual as the first', () => {
  const agent = known();
  const day = 21;
  assert.deepEqual(act(agent, { day, clock: 17 }), [], 'one hour around what is usual is let be');
  for (let at = 0; at < 120; at++) {
    const clock = (18 + at) % 24;
    const expected = clock >= 18 || clock < 8 ? ['hour'] : [];
    assert.deepEqual(act(agent, { day: day + 7 * at, clock }), expected, `at ${clock}`);
  }
  // Three times as much each time would be any amount soon.
  let amount = 13;
  for (let at = 0; at < 20; at++, amount *= 2.9) {
    const kinds = act(agent, { day: day + at - (at % 7 > 4 ? 2 : 0), clock: 12, amount });
    assert.deepEqual(kinds, amount > 3 * 13 ? ['amount'] : [], String(amount));
  }
  for (let at = 0; at < 50; at++) assert.deepEqual(act(agent, { day, clock: 12, account: `new ${at}` }), ['resource']);
  for (let at = 0; at < 50; at++) assert.deepEqual(act(agent, { day, clock: 13, account: 'mallory' }), ['resource']);
  let calls = 0;
  let unusual = 0;
  for (let hour = 0; hour < 30; hour++)
    for (let at = 0; at < 12 * (hour + 1); at++, calls++)
      if (act(agent, { day: 2_800 + 7 * Math.floor(hour / 8), clock: 9 + (hour % 8) }).includes('rate')) unusual++;
  // At most 30 an hour were let be, however they grew.
  assert.ok(calls - unusual <= 30 * 30, `${calls - unusual}`);
});

/** @proves baseline.poisoning */
test('one day of the learning, whatever is done on it, makes neither hours nor amounts, rates or accounts usual', () => {
  const agent: Agent = { whole: newWhole('UTC'), tool: newProfile() };
  for (let day = 0; day < 14; day++) {
    if (day === 3)
      for (let clock = 0; clock < 24; clock++)
        act(agent, { day, clock, calls: 500, amount: 1_000_000, account: `mallory ${clock}` });
    if (day % 7 < 5)
      for (let clock = 9; clock < 17; clock++) act(agent, { day, clock, calls: 4, account: clock % 2 ? 'a' : 'b' });
  }
  const usual = { day: 14, clock: 12 };
  assert.deepEqual(act(agent, usual), []);
  assert.ok(isWatched(agent.tool), 'a crowd of accounts on one day hides no stranger');
  assert.deepEqual(act(agent, { ...usual, clock: 3 }), ['hour']);
  assert.deepEqual(act(agent, { ...usual, amount: 1_000_000 }), ['amount']);
  assert.deepEqual(act(agent, { ...usual, account: 'mallory 3' }), ['resource']);
  let kinds: string[] = [];
  for (let at = 0; at < 31; at++) kinds = act(agent, { day: 14, clock: 13 });
  assert.deepEqual([...new Set(kinds)], ['rate']);
});

const call: fc.Arbitrary<Call> = fc.record({
  day: fc.integer({ min: 0, max: 60 }),
  clock: fc.integer({ min: 0, max: 23 }),
  amount: fc.integer({ min: 0, max: 100 }),
  account: fc.constantFrom('a', 'b', 'c', 'd'),
  calls: fc.integer({ min: 1, max: 5 }),
});

/** @proves baseline.poisoning */
test('whatever a known agent calls: what was unusual stays so while no person has approved anything', () => {
  fc.assert(
    fc.property(fc.array(call, { maxLength: 60 }), fc.array(call, { minLength: 1, maxLength: 10 }), (later, probes) => {
      const agent = known();
      const kindsOf = (probe: Call) =>
        deviationsOf(agent.whole, agent.tool, lookedOf({ ...probe, day: probe.day + 1_000 })).map(({ kind }) => kind);
      const before = probes.map(kindsOf);
      for (const each of later) act(agent, { ...each, day: each.day + 30 });
      assert.deepEqual(probes.map(kindsOf), before);
    }),
  );
});

/** @proves baseline.learning */
test('whatever was called before there are enough days and calls, nothing is unusual', () => {
  fc.assert(
    fc.property(fc.array(call, { maxLength: 150 }), call, (calls, probe) => {
      const agent: Agent = { whole: newWhole('UTC'), tool: newProfile() };
      for (const each of calls) {
        const isKnown = agent.whole.days >= needs.days && agent.whole.calls >= needs.calls;
        if (isKnown) break;
        assert.deepEqual(act(agent, each), []);
      }
      if (agent.whole.learnedAt === null) assert.deepEqual(deviationsOf(agent.whole, undefined, lookedOf(probe)), []);
    }),
  );
});

/** @proves baseline.poisoning */
test('what a person has approved is usual for that tool, and for no other', () => {
  const agent = known();
  assert.deepEqual(act(agent, { day: 21, clock: 3, amount: 100, account: 'c', said: true }), [
    'hour',
    'resource',
    'amount',
  ]);
  assert.deepEqual(act(agent, { day: 22, clock: 3, amount: 100, account: 'c' }), []);
  const other = deviationsOf(agent.whole, newProfile(), { ...lookedOf({ day: 22, clock: 3 }), tool: 'shop/other' });
  assert.deepEqual(
    other.map(({ kind }) => kind),
    ['first-use', 'hour'],
  );
});

test('days of the week are unusual once two weeks of learning have gone by without', () => {
  const slow: Agent = { whole: newWhole('UTC'), tool: newProfile() };
  for (let day = 0; day < 21; day++)
    if (day % 7 < 5) for (let clock = 9; clock < 17; clock++) act(slow, { day, clock, calls: 2 });
  assert.deepEqual(act(slow, { day: 26, clock: 12 }), ['weekday']);
  assert.deepEqual(act(known(), { day: 26, clock: 12 }), []);
});

/** @proves baseline.bounded */
test('a profile stays small, whatever is called', () => {
  const agent: Agent = { whole: newWhole('UTC'), tool: newProfile() };
  for (let day = 0; day < 400; day++)
    for (let clock = 0; clock < 24; clock += 5)
      learn(
        agent.whole,
        agent.tool,
        { ...cellOf({ day, clock }), resources: [`${day}`, `${clock} ${day}`] },
        {
          days: 90,
          calls: 1_000_000,
        },
      );
  assert.ok(agent.tool.resources.length <= limits.resourcesPerTool);
  assert.ok(JSON.stringify(agent.tool).length < 8_000);
  assert.equal(agent.whole.days, 400);
});

test('an amount that cannot be read, and too many values, count as what is not known', () => {
  const pay = {
    ref: TOOL,
    effects: ['pay'],
    labels: { roles: { to: 'account', amount: 'amount' } },
  } as unknown as Parameters<typeof lookAt>[1];
  const key = createSecretKey(new Uint8Array(32));
  assert.deepEqual(lookAt(key, pay, { amount: '1,000.50' }).amount, 1000.5);
  assert.ok(Number.isNaN(lookAt(key, pay, { amount: 'all of it' }).amount));
  assert.equal(
    lookAt(key, pay, { to: 'DE 12 34' }).resources[0]?.digest,
    lookAt(key, pay, { to: 'de1234' }).resources[0]?.digest,
  );
  const many = lookAt(key, pay, { to: Array.from({ length: 100 }, (_, at) => `a${at}`) });
  const agent = known();
  const looked = { ...lookedOf({ day: 21, clock: 12 }), ...many };
  assert.deepEqual(
    deviationsOf(agent.whole, agent.tool, looked).map(({ kind }) => kind),
    ['resource'],
  );
  const unreadable = { ...lookedOf({ day: 21, clock: 12 }), amount: Number.NaN };
  assert.deepEqual(
    deviationsOf(agent.whole, agent.tool, unreadable).map(({ kind }) => kind),
    ['amount'],
  );
});

test('hours are those of the zone, and a result is measured in bounded work', () => {
  const summer = Date.UTC(2026, 6, 1, 22, 30);
  assert.deepEqual([whenIs(summer, 'UTC').clock, whenIs(summer, 'Europe/Berlin').clock], [22, 0]);
  assert.equal(whenIs(summer, 'Europe/Berlin').day - whenIs(summer, 'UTC').day, 1);
  const text = 'x'.repeat(1_000);
  assert.ok(Math.abs(bytesOf({ content: [{ type: 'text', text }] }) - 1_040) < 40);
  let deep: Parameters<typeof bytesOf>[0] = 1;
  for (let at = 0; at < 100_000; at++) deep = [deep];
  assert.ok(bytesOf(deep) > 0);
});
