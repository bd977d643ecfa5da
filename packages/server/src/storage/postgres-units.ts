import type { LogUnit, LogUnitResult } from './storage.ts';

/** A statement with its parameters; a name has the server keep its plan. */
export interface Statement {
  name: string;
  text: string;
  values: unknown[];
}
export type Run = (statement: Statement) => Promise<Record<string, unknown>[]>;

/** Spaces of advisory locks (the first of two keys), so that ours don't meet another application's by accident. */
export const LOCKS = { fence: 0x6761_0001, feed: 0x6761_0002, log: 0x6761_0003 };

/** Fences share this many locks: a batch never holds more, however many fences it relies on, and the server has room for few. */
const FENCE_SLOTS = 512;

export function lockNumber(name: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  return hash | 0;
}

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

/** Consumes what can be consumed and places the records; gives the results and the statements that are left to run. */
export async function decideUnits(
  run: Run,
  log: string,
  first: number,
  units: LogUnit[],
  versions: ReadonlyMap<string, number>,
): Promise<{ results: LogUnitResult[]; inserts: Statement[] }> {
  const broken = units.map((unit) => unit.guards.find((guard) => (versions.get(guard.key) ?? 0) !== guard.version));
  const consumed = await consumeApprovals(
    run,
    units.filter((_, index) => !broken[index]),
  );
  const written: { unit: LogUnit; sequences: number[] }[] = [];
  let sequence = first;
  const results = units.map((unit, index): LogUnitResult => {
    const guard = broken[index];
    if (guard) return { ok: false, failed: 'guard', key: guard.key };
    if (unit.consumeApproval && !consumed.has(unit)) return { ok: false, failed: 'approval' };
    const sequences = unit.records.map(() => sequence++);
    written.push({ unit, sequences });
    return { ok: true, sequences };
  });
  return { results, inserts: [insertRecords(log, written), insertBodies(written)].filter((s) => s !== undefined) };
}

async function consumeApprovals(run: Run, units: LogUnit[]): Promise<Set<LogUnit>> {
  // Two units of one batch that want the same approval: the one that came first is the only one to try.
  const wanted = new Map<string, LogUnit>();
  for (const unit of units) {
    const id = unit.consumeApproval?.id;
    if (id !== undefined && !wanted.has(id)) wanted.set(id, unit);
  }
  if (wanted.size === 0) return new Set();
  const wishes = [...wanted.values()].map((unit) => unit.consumeApproval);
  const rows = await run({
    name: 'consume-approvals',
    text: `update approvals set state = 'consumed', consumed_by = wish.action_id
           from unnest($1::text[], $2::text[], $3::bigint[]) as wish (id, action_id, at)
           where approvals.id = wish.id and approvals.state = 'approved' and approvals.expires_at > wish.at
           returning approvals.id`,
    values: [wishes.map((wish) => wish?.id), wishes.map((wish) => wish?.actionId), wishes.map((wish) => wish?.now)],
  });
  return new Set(rows.flatMap((row) => wanted.get(row.id as string) ?? []));
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
