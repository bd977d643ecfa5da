import { type CounterBook, type CounterRow, createCounterBook, type SpendRow } from './counters.ts';
import { LOCKS, lockNumber, type Statement } from './postgres-locks.ts';
import type { LogUnit } from './storage.ts';

/** Counters share this many locks, for the same reason as fences. */
const COUNTER_SLOTS = 512;

function countersOf(units: readonly LogUnit[]): string[] {
  const named = units.flatMap((unit) => [
    ...(unit.spend?.counters ?? []).map(({ counter }) => counter),
    ...(unit.settle?.counters ?? []),
  ]);
  return [...new Set(named)];
}

/**
 * The statements that give the counters of a batch to this transaction alone and read them, in this order. The locks come after those of
 * the fences, each kind in the order of its numbers, so that no two transactions wait for each other.
 */
export function readCounters(units: readonly LogUnit[]): Statement[] {
  const counters = countersOf(units);
  const settled = units.flatMap(({ settle }) => (settle ? [settle.actionId] : []));
  const slots = new Set(counters.map((counter) => (lockNumber(counter) >>> 0) % COUNTER_SLOTS));
  return [
    ...(slots.size === 0
      ? []
      : [
          {
            name: 'hold-counters',
            text: `select pg_advisory_xact_lock(${LOCKS.counter}, slot) from unnest($1::int[]) slot`,
            values: [[...slots].sort((a, b) => a - b)],
          },
        ]),
    ...(counters.length + settled.length === 0
      ? []
      : [
          {
            name: 'read-counters',
            text: 'select * from budget_counters where id = any($1::text[])',
            values: [counters],
          },
          {
            name: 'read-spends',
            text: 'select * from budget_spends where action_id = any($1::text[])',
            values: [settled],
          },
        ]),
  ];
}

/** What the last two statements of `readCounters` have given. */
export interface ReadCounters {
  counters: CounterRow[];
  spends: SpendRow[];
}

export const NO_COUNTERS: ReadCounters = { counters: [], spends: [] };

export function openBook({ counters, spends }: ReadCounters): CounterBook {
  const rows = new Map(counters.map((row) => [row.id, row]));
  const byAction = Map.groupBy(spends, (row) => row.action_id);
  return createCounterBook(
    (id) => rows.get(id),
    (actionId) => byAction.get(actionId) ?? [],
  );
}

export function writeBook(book: CounterBook): Statement[] {
  const counters = [...book.counters.values()];
  const { spends } = book;
  const statements: Statement[] = [];
  if (counters.length > 0)
    statements.push({
      name: 'write-counters',
      text: `insert into budget_counters (id, budget, label, state, used, updated_at, expires_at)
             select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[])
             on conflict (id) do update set state = excluded.state, used = excluded.used, label = excluded.label,
               updated_at = excluded.updated_at, expires_at = excluded.expires_at`,
      values: (['id', 'budget', 'label', 'state', 'used', 'updated_at', 'expires_at'] as const).map((column) =>
        counters.map((row) => row[column]),
      ),
    });
  if (book.settled.size > 0)
    statements.push({
      name: 'delete-spends',
      text: 'delete from budget_spends where action_id = any($1::text[])',
      values: [[...book.settled]],
    });
  if (spends.length > 0)
    statements.push({
      name: 'write-spends',
      text: `insert into budget_spends (action_id, counter, bucket, count, items, sum, expires_at)
             select * from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
             on conflict (action_id, counter) do update set bucket = excluded.bucket, count = excluded.count,
               items = excluded.items, sum = excluded.sum, expires_at = excluded.expires_at`,
      values: (['action_id', 'counter', 'bucket', 'count', 'items', 'sum', 'expires_at'] as const).map((column) =>
        spends.map((row) => row[column]),
      ),
    });
  return statements;
}
