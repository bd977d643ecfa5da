import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  BUCKETS,
  type CounterRow,
  type CounterSpend,
  type CounterWindow,
  createCounterBook,
  parseState,
} from './counters.ts';

const NO_LIMITS = { count: null, items: null, sum: null, concurrent: null };

/** One counter in memory, asked as a database asks it: a book for each call. */
function counter(window: CounterWindow, limits: Partial<CounterSpend['limits']>) {
  let row: CounterRow | undefined;
  let calls = 0;
  return {
    row: () => row,
    take(now: number, amount = 1): boolean {
      const spend = {
        actionId: `act_${calls++}`,
        now,
        counters: [
          {
            counter: 'c',
            budget: 'b',
            label: '',
            window,
            amounts: { count: 1, items: amount, sum: amount },
            limits: { ...NO_LIMITS, ...limits },
            evenOver: false,
            leaseUntil: now + 1_000,
          },
        ],
      };
      const book = createCounterBook(
        () => row,
        () => [],
      );
      if (book.judge(spend)) return false;
      book.take(spend);
      row = book.counters.get('c');
      return true;
    },
  };
}

/** @proves budget.window */
test('no window of the length of a rolling budget ever holds more than it, wherever it begins', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 60_000, max: 10_000_000 }),
      fc.integer({ min: 1, max: 50 }),
      // Most steps are short, some nearly a window long.
      fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 10 })), {
        maxLength: 150,
      }),
      (rollingMs, max, steps) => {
        const { take, row } = counter({ rollingMs }, { sum: max });
        let now = 1_700_000_000_000;
        const taken: [number, number][] = [];
        for (const [step, amount] of steps) {
          now += Math.floor(rollingMs * step ** 8);
          if (take(now, amount)) taken.push([now, amount]);
          const held = taken.filter(([at]) => at > now - rollingMs).reduce((sum, [, each]) => sum + each, 0);
          assert.ok(held <= max, `${held} of ${max} within ${rollingMs} ms`);
          assert.ok(parseState(row()?.state).buckets.length <= BUCKETS + 2, 'what is kept is bounded');
        }
      },
    ),
  );
});

test('a rolling budget gives back what has left the window, at the latest a sixtieth of it later', () => {
  const { take } = counter({ rollingMs: 60_000 }, { count: 1 });
  assert.equal(take(1_000_900), true);
  assert.equal(take(1_060_500), false, 'it is 59.6 seconds old');
  assert.equal(take(1_060_899), false);
  assert.equal(take(1_061_000), true);
});

/** @proves budget.window */
test('a replica whose clock is behind opens no window again that has ended, nor a second one', () => {
  const day = (n: number) => ({ start: n * 100, end: n * 100 + 100 });
  let row: CounterRow | undefined;
  let calls = 0;
  const take = (n: number) => {
    const book = createCounterBook(
      () => row,
      () => [],
    );
    const counters = [
      {
        counter: 'c',
        budget: 'b',
        label: '',
        window: day(n),
        amounts: { count: 1, items: 0, sum: 0 },
        limits: { ...NO_LIMITS, count: 2 },
        evenOver: false,
        leaseUntil: 0,
      },
    ];
    const spend = { actionId: `act_${calls++}`, now: n * 100, counters };
    if (book.judge(spend)) return false;
    book.take(spend);
    row = book.counters.get('c');
    return true;
  };
  assert.deepEqual([take(1), take(1), take(1)], [true, true, false]);
  assert.deepEqual([take(2), take(1), take(2), take(1)], [true, true, false, false]);
});
