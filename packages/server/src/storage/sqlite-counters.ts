import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type CounterBook, type CounterRow, createCounterBook, type SpendRow } from './counters.ts';

/** Budgets inside the transaction that is open on `database`. */
export function createSqliteCounters(database: DatabaseSync): {
  open(): CounterBook;
  write(book: CounterBook): void;
} {
  let prepared: ReturnType<typeof prepareStatements> | undefined;
  // At first use: the tables are made by the migrations, after this thread has started.
  const statements = () => {
    prepared ??= prepareStatements(database);
    return prepared;
  };

  return {
    open: () =>
      createCounterBook(
        (id) => statements().readCounter.get(id) as CounterRow | undefined,
        (actionId) => statements().readSpends.all(actionId) as unknown as SpendRow[],
      ),
    write(book) {
      for (const row of book.counters.values())
        statements().writeCounter.run(
          row.id,
          row.budget,
          row.label,
          row.state,
          row.used,
          row.updated_at,
          row.expires_at,
        );
      for (const actionId of book.settled) statements().deleteSpends.run(actionId);
      for (const row of book.spends)
        // biome-ignore format: the order of the columns, in one glance
        statements().writeSpend.run(row.action_id, row.counter, row.bucket, row.count, row.items, row.sum, row.expires_at);
    },
  };
}

function prepareStatements(
  database: DatabaseSync,
): Record<'readCounter' | 'writeCounter' | 'readSpends' | 'writeSpend' | 'deleteSpends', StatementSync> {
  return {
    readCounter: database.prepare('select * from budget_counters where id = ?'),
    writeCounter: database.prepare(
      `insert into budget_counters (id, budget, label, state, used, updated_at, expires_at) values (?, ?, ?, ?, ?, ?, ?)
       on conflict (id) do update set state = excluded.state, used = excluded.used, label = excluded.label,
         updated_at = excluded.updated_at, expires_at = excluded.expires_at`,
    ),
    readSpends: database.prepare('select * from budget_spends where action_id = ?'),
    writeSpend: database.prepare(
      `insert into budget_spends (action_id, counter, bucket, count, items, sum, expires_at) values (?, ?, ?, ?, ?, ?, ?)
       on conflict (action_id, counter) do update set bucket = excluded.bucket, count = excluded.count, items = excluded.items,
         sum = excluded.sum, expires_at = excluded.expires_at`,
    ),
    deleteSpends: database.prepare('delete from budget_spends where action_id = ?'),
  };
}
