import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onEachDatabase } from '../../../identity/people/testing/databases.ts';
import { yesOf } from '../../../identity/people/testing/second-yes.ts';
import { createCalendar, openRecordKeeper } from '../../../ledger/keeping/testing/record-keeper.ts';
import type { Ask, Sources } from '../check.ts';
import { kept } from './record.ts';

const ask: Ask = (query) => query.execute();

onEachDatabase('what evidence says of removed records', (database) => {
  /** @proves evidence.not-met */
  test('records that went before six months are a finding by what the log says, whoever empties the table', async (context) => {
    const clock = createCalendar();
    const keeper = await openRecordKeeper({ database: await database(), clock });
    context.after(() => keeper.close());
    const { storage, ledger, retention } = keeper;
    const found = () => kept.run({ db: storage.db, ledger, now: clock.now() } as unknown as Sources, ask);
    await keeper.record('act_old', { tool: 'pay/out' });
    await keeper.declare({ name: 'pay', of: { tools: ['pay/*'] }, records: 400 });
    clock.forward(401);
    await keeper.settle();
    assert.equal((await found()).status, 'met', 'what was old enough may go');
    assert.equal((await found()).figures?.removed, 1);

    await keeper.record('act_young', { tool: 'crm/search' });
    await keeper.declare({ name: 'short', of: { tools: ['crm/*'] }, records: 1, belowMinimum: 'because' });
    await retention.agree('short', yesOf('person:other@example.test'));
    clock.forward(3);
    await keeper.settle();
    assert.equal(await ledger.action('act_young'), undefined);
    const honest = await found();
    assert.equal(honest.status, 'not-met');
    assert.match(honest.examples?.[0] ?? '', /^kept 1 days by short/);
    assert.equal(honest.records?.length, 1, 'and which record says so');
    await storage.transaction((transaction) => transaction.deleteFrom('removals').execute());
    assert.deepEqual(await found(), honest);
    await storage.transaction((transaction) =>
      transaction.deleteFrom('records').where('operation', '=', 'retention.remove').execute(),
    );
    assert.equal((await found()).status, 'not-met', 'a log that is not whole shows nothing');
  });
});
