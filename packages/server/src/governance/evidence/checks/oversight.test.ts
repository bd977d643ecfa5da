import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onEachDatabase } from '../../../identity/people/testing/databases.ts';
import { openHouse } from '../../../identity/people/testing/house.ts';
import { type Ask, DAY_MS, type Sources } from '../check.ts';
import { arriving, emergencies } from './oversight.ts';

const ask: Ask = (query) => query.execute();

onEachDatabase('oversight', (database) => {
  /** @proves evidence.not-met */
  test('an emergency that nobody looked at within a week is a finding, and one that is on record and gone', async (context) => {
    const house = await openHouse({ database: await database() });
    context.after(() => house.close());
    const { db } = house.storage;
    const now = house.clock.now();
    const statusAt = async (later: number) =>
      (await emergencies.run({ db, from: now - DAY_MS, to: now + DAY_MS, now: now + later } as unknown as Sources, ask))
        .status;
    assert.equal(await statusAt(0), 'no-data');
    await house.storage.transaction((transaction) =>
      house.recordChange(transaction, {
        operation: 'break-glass.open',
        by: 'person:a@x.test',
        approval: 'brk_1',
        changes: [],
      }),
    );
    assert.equal(await statusAt(0), 'not-met', 'there is no such row');
    const row = {
      ...{ id: 'brk_1', agent: 'a', task: 't', subject: '{}', digest: 'd', requested_at: now, first_by: 'a@x.test' },
      ...{ first_assertion: '{}', second_by: 'b@x.test', second_assertion: '{}', until: now + 60_000, ended_at: null },
      ...{ ended_by: null, over_at: now + 60_000, reviewed_by: null, reviewed_at: null, review: null, seal: null },
    };
    await house.storage.transaction((transaction) => transaction.insertInto('break_glass').values(row).execute());
    assert.equal(await statusAt(DAY_MS), 'met', 'there is time to look at it');
    assert.equal(await statusAt(9 * DAY_MS), 'not-met');
    const reviewedBy = (person: string) =>
      house.storage.transaction((transaction) =>
        transaction.updateTable('break_glass').set({ reviewed_by: person }).execute(),
      );
    await reviewedBy('b@x.test');
    assert.equal(await statusAt(9 * DAY_MS), 'not-met', 'by who signed it');
    await reviewedBy('c@x.test');
    assert.equal(await statusAt(9 * DAY_MS), 'met');
  });

  /** @proves evidence.not-met */
  test('a sink that is far behind is a finding, and one that refused a record', async (context) => {
    const house = await openHouse({ database: await database() });
    context.after(() => house.close());
    const { db } = house.storage;
    const snapshot = { sinks: new Map([['siem', {}]]) };
    const statusOf = async (size: number, sinks = snapshot) =>
      (
        await arriving.run(
          { db, snapshot: sinks, ledger: { logs: async () => [{ id: 'log', size }] } } as unknown as Sources,
          ask,
        )
      ).status;
    assert.equal(await statusOf(5, { sinks: new Map() }), 'no-data');
    await house.storage.transaction((transaction) =>
      transaction
        .insertInto('sink_positions')
        .values({ sink: 'siem', log: 'log', sequence: 5, reached: 5, missed: 0 })
        .execute(),
    );
    assert.equal(await statusOf(10_000), 'met');
    assert.equal(await statusOf(20_000), 'not-met');
    const missing = (missed: number) =>
      house.storage.transaction((transaction) => transaction.updateTable('sink_positions').set({ missed }).execute());
    await missing(1);
    assert.equal(await statusOf(10), 'not-met', 'removed before it was sent');
    await missing(0);
    assert.equal(await statusOf(10), 'met');
    const aside = { sink: 'siem', log: 'log', sequence: 3, reason: 'too large', at: 1 };
    await house.storage.transaction((transaction) => transaction.insertInto('sink_quarantine').values(aside).execute());
    assert.equal(await statusOf(10), 'not-met');
  });
});
