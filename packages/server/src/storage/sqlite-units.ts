import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type OpenCallRow, twinOf } from './open-calls.ts';
import { createSqliteCounters } from './sqlite-counters.ts';
import type { LogUnit, LogUnitResult } from './storage.ts';

/** Writes units inside the transaction that is open on `database`. */
export type WriteUnits = (log: string, first: number, units: LogUnit[]) => LogUnitResult[];

export function createUnitWriter(database: DatabaseSync): WriteUnits {
  let statements: ReturnType<typeof prepareStatements> | undefined;
  const counters = createSqliteCounters(database);

  return (log, first, units) => {
    // Prepared at first use: the tables are made by the migrations, after this thread has started.
    statements ??= prepareStatements(database);
    const { readFence, consumeApproval, insertRecord, insertBody, readTwins, openCall, endCall, leaveUnknown } =
      statements;
    const fences = new Map<string, number>();
    const version = (key: string): number => {
      const known = fences.get(key);
      if (known !== undefined) return known;
      const read = (readFence.get(key) as { version: number } | undefined)?.version ?? 0;
      fences.set(key, read);
      return read;
    };

    const book = counters.open();
    let sequence = first;
    const results = units.map((unit): LogUnitResult => {
      const broken = unit.guards.find((guard) => version(guard.key) !== guard.version);
      if (broken) return { ok: false, failed: 'guard', key: broken.key };
      const over = unit.spend && book.judge(unit.spend);
      if (over) return { ok: false, failed: 'budget', over };
      const { opens, ends } = unit;
      const twin = opens && twinOf(readTwins.all(opens.call) as unknown as OpenCallRow[], log, opens);
      if (twin) return { ok: false, failed: 'twin', twin };
      if (unit.consumeApproval) {
        const { id, actionId, now } = unit.consumeApproval;
        if (Number(consumeApproval.run(actionId, id, now).changes) !== 1) return { ok: false, failed: 'approval' };
      }
      if (unit.spend) book.take(unit.spend);
      if (unit.settle) book.settle(unit.settle);
      if (opens) {
        const { actionId, call, key, agent, task, environment, tool, at } = opens;
        openCall.run(actionId, call, key, log, agent, task, environment, tool, at);
      }
      if (ends?.unknown) leaveUnknown.run(ends.unknown.at, ends.unknown.detail, ends.actionId);
      else if (ends) endCall.run(ends.actionId);
      const sequences: number[] = [];
      for (const r of unit.records) {
        // biome-ignore format: the order of the columns, in one glance
        insertRecord.run(log, sequence, r.leafHash, r.kind, r.actionId, r.at, r.operation, r.agent, r.task, r.person, r.tool,
          r.resource, r.effect, r.result, r.approval, r.ticket, r.entry);
        sequences.push(sequence++);
      }
      for (const body of unit.bodies) insertBody.run(body.actionId, body.kind, body.salt, body.body, body.at);
      return { ok: true, sequences };
    });
    counters.write(book);
    return results;
  };
}

type Name =
  | 'readFence'
  | 'consumeApproval'
  | 'insertRecord'
  | 'insertBody'
  | 'readTwins'
  | 'openCall'
  | 'endCall'
  | 'leaveUnknown';

function prepareStatements(database: DatabaseSync): Record<Name, StatementSync> {
  return {
    readFence: database.prepare('select version from fences where key = ?'),
    consumeApproval: database.prepare(
      "update approvals set state = 'consumed', consumed_by = ?, seal = null where id = ? and state = 'approved' and expires_at > ?",
    ),
    insertRecord: database.prepare(
      `insert into records (log, sequence, leaf_hash, kind, action_id, at, operation, agent, task, person, tool, resource,
         effect, result, approval, ticket, entry) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    insertBody: database.prepare(
      'insert into bodies (action_id, kind, salt, body, created_at) values (?, ?, ?, ?, ?) on conflict do nothing',
    ),
    readTwins: database.prepare('select * from open_calls where call_digest = ?'),
    openCall: database.prepare(
      `insert into open_calls (action_id, call_digest, key_digest, log, agent, task, environment, tool, sent_at)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    endCall: database.prepare('delete from open_calls where action_id = ?'),
    leaveUnknown: database.prepare(
      'update open_calls set unknown_at = ?, detail = ? where action_id = ? and unknown_at is null',
    ),
  };
}
