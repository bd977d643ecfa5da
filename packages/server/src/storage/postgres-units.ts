import { type OpenCallRow, twinOf } from './open-calls.ts';
import { openBook, type ReadCounters, writeBook } from './postgres-counters.ts';
import { LOCKS, lockNumber, type Run, type Statement } from './postgres-locks.ts';
import type { LogUnit, LogUnitResult } from './storage.ts';

/** Fences share this many locks: a batch never holds more, however many fences it relies on, and the server has room for few. */
const FENCE_SLOTS = 512;

const fenceSlot = (key: string) => (lockNumber(key) >>> 0) % FENCE_SLOTS;

/**
 * Dispatches share a fence and a bump has it alone. By advisory locks, not row locks: a fence that was never bumped has no row,
 * shared row locks are written to disk, and a stream of them keeps a bump (a kill) waiting for ever, while these queue.
 */
export function shareFences(units: LogUnit[]): Statement | undefined {
  const slots = new Set(units.flatMap((unit) => unit.guards.map((guard) => fenceSlot(guard.key))));
  if (slots.size === 0) return undefined;
  return {
    name: 'share-fences',
    text: `select pg_advisory_xact_lock_shared(${LOCKS.fence}, slot) from unnest($1::int[]) slot`,
    // In order, so that two transactions never wait for each other.
    values: [[...slots].sort((a, b) => a - b)],
  };
}

export function holdFences(keys: readonly string[]): Statement {
  return {
    name: 'hold-fences',
    text: `select pg_advisory_xact_lock(${LOCKS.fence}, slot) from unnest($1::int[]) slot`,
    // In order, as dispatches share them.
    values: [[...new Set(keys.map(fenceSlot))].sort((a, b) => a - b)],
  };
}

export function readFences(units: LogUnit[]): Statement | undefined {
  const keys = [...new Set(units.flatMap((unit) => unit.guards.map((guard) => guard.key)))];
  if (keys.length === 0) return undefined;
  return { name: 'read-fences', text: 'select key, version from fences where key = any($1::text[])', values: [keys] };
}

export function toVersions(rows: Record<string, unknown>[]): Map<string, number> {
  return new Map(rows.map((row) => [row.key as string, row.version as number]));
}

/** What may stand in the way of the calls of a batch. */
export function readTwins(log: string, units: readonly LogUnit[]): Statement | undefined {
  const calls = [...new Set(units.flatMap(({ opens }) => opens?.call ?? []))];
  if (calls.length === 0) return undefined;
  return {
    name: 'read-twins',
    text: 'select * from open_calls where call_digest = any($1::text[]) and (unknown_at is not null or log <> $2)',
    values: [calls, log],
  };
}

/** Decides unit by unit, in their order; gives the results and the statements that are left to run. */
export async function decideUnits(
  run: Run,
  log: string,
  first: number,
  units: LogUnit[],
  versions: ReadonlyMap<string, number>,
  read: ReadCounters,
  open: readonly OpenCallRow[],
): Promise<{ results: LogUnitResult[]; inserts: Statement[] }> {
  const brokenGuard = (unit: LogUnit) => unit.guards.find((guard) => (versions.get(guard.key) ?? 0) !== guard.version);
  const consumable = await holdApprovals(
    run,
    units.filter((unit) => !brokenGuard(unit)),
  );
  const book = openBook(read);
  const openOf = Map.groupBy(open, (row) => row.call_digest);
  const written: { unit: LogUnit; sequences: number[] }[] = [];
  let sequence = first;
  const results = units.map((unit): LogUnitResult => {
    const guard = brokenGuard(unit);
    if (guard) return { ok: false, failed: 'guard', key: guard.key };
    const over = unit.spend && book.judge(unit.spend);
    if (over) return { ok: false, failed: 'budget', over };
    const twin = unit.opens && twinOf(openOf.get(unit.opens.call) ?? [], log, unit.opens);
    if (twin) return { ok: false, failed: 'twin', twin };
    if (unit.consumeApproval && !consumable.delete(unit.consumeApproval.id)) return { ok: false, failed: 'approval' };
    if (unit.spend) book.take(unit.spend);
    if (unit.settle) book.settle(unit.settle);
    const sequences = unit.records.map(() => sequence++);
    written.push({ unit, sequences });
    return { ok: true, sequences };
  });
  const inserts = [
    consumeApprovals(written),
    insertRecords(log, written),
    insertBodies(written),
    ...openCalls(log, written),
    ...writeBook(book),
  ];
  return { results, inserts: inserts.filter((statement) => statement !== undefined) };
}

/** Which of the wanted approvals can be consumed, now and until this transaction ends. */
async function holdApprovals(run: Run, units: LogUnit[]): Promise<Set<string>> {
  const wishes = units.flatMap(({ consumeApproval }) => consumeApproval ?? []);
  if (wishes.length === 0) return new Set();
  const rows = await run({
    name: 'hold-approvals',
    text: `select id from approvals
           where state = 'approved'
             and exists (select from unnest($1::text[], $2::bigint[]) as wish (id, at)
                         where wish.id = approvals.id and approvals.expires_at > wish.at)
             and id = any($1::text[])
           for update`,
    values: [wishes.map(({ id }) => id), wishes.map(({ now }) => now)],
  });
  return new Set(rows.map(({ id }) => id as string));
}

function consumeApprovals(written: { unit: LogUnit }[]): Statement | undefined {
  const wishes = written.flatMap(({ unit }) => unit.consumeApproval ?? []);
  if (wishes.length === 0) return undefined;
  return {
    name: 'consume-approvals',
    text: `update approvals set state = 'consumed', consumed_by = wish.action_id, seal = null
           from unnest($1::text[], $2::text[]) as wish (id, action_id) where approvals.id = wish.id`,
    values: [wishes.map(({ id }) => id), wishes.map(({ actionId }) => actionId)],
  };
}

function insertRecords(log: string, written: { unit: LogUnit; sequences: number[] }[]): Statement | undefined {
  const records = written.flatMap(({ unit }) => unit.records);
  if (records.length === 0) return undefined;
  return {
    name: 'insert-records',
    text: `insert into records (log, sequence, leaf_hash, kind, action_id, at, operation, agent, task, person, tool, resource,
             effect, result, approval, ticket, entry)
           select $1, * from unnest($2::bigint[], $3::bytea[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[],
             $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[])`,
    values: [
      log,
      written.flatMap(({ sequences }) => sequences),
      records.map((record) => Buffer.from(record.leafHash)),
      records.map((record) => record.kind),
      records.map((record) => record.actionId),
      records.map((record) => record.at),
      records.map((record) => record.operation),
      records.map((record) => record.agent),
      records.map((record) => record.task),
      records.map((record) => record.person),
      records.map((record) => record.tool),
      records.map((record) => record.resource),
      records.map((record) => record.effect),
      records.map((record) => record.result),
      records.map((record) => record.approval),
      records.map((record) => record.ticket),
      records.map((record) => record.entry),
    ],
  };
}

function insertBodies(written: { unit: LogUnit }[]): Statement | undefined {
  const bodies = written.flatMap(({ unit }) => unit.bodies);
  if (bodies.length === 0) return undefined;
  return {
    name: 'insert-bodies',
    text: `insert into bodies (action_id, kind, salt, body, created_at)
           select * from unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bigint[])
           on conflict do nothing`,
    values: [
      bodies.map((body) => body.actionId),
      bodies.map((body) => body.kind),
      bodies.map((body) => Buffer.from(body.salt)),
      bodies.map((body) => body.body),
      bodies.map((body) => body.at),
    ],
  };
}

/** In this order: a call that was opened and ended in one batch is gone. */
function openCalls(log: string, written: { unit: LogUnit }[]): Statement[] {
  const opened = written.flatMap(({ unit }) => unit.opens ?? []);
  const ends = written.flatMap(({ unit }) => unit.ends ?? []);
  const known = ends.filter(({ unknown }) => !unknown);
  const unknown = ends.flatMap(({ actionId, unknown }) => (unknown ? [{ actionId, ...unknown }] : []));
  const statements: Statement[] = [];
  if (opened.length > 0)
    statements.push({
      name: 'open-calls',
      text: `insert into open_calls (log, action_id, call_digest, key_digest, agent, task, environment, tool, sent_at)
             select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[])`,
      values: [
        log,
        opened.map(({ actionId }) => actionId),
        opened.map(({ call }) => call),
        opened.map(({ key }) => key),
        opened.map(({ agent }) => agent),
        opened.map(({ task }) => task),
        opened.map(({ environment }) => environment),
        opened.map(({ tool }) => tool),
        opened.map(({ at }) => at),
      ],
    });
  if (unknown.length > 0)
    statements.push({
      name: 'leave-unknown',
      text: `update open_calls set unknown_at = left_open.at, detail = left_open.detail
             from unnest($1::text[], $2::bigint[], $3::text[]) as left_open (id, at, detail)
             where action_id = left_open.id and unknown_at is null`,
      values: [
        unknown.map(({ actionId }) => actionId),
        unknown.map(({ at }) => at),
        unknown.map(({ detail }) => detail),
      ],
    });
  if (known.length > 0)
    statements.push({
      name: 'end-calls',
      text: 'delete from open_calls where action_id = any($1::text[])',
      values: [known.map(({ actionId }) => actionId)],
    });
  return statements;
}
