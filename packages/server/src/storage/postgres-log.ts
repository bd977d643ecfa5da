import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { GatehouseError, type Log } from '../platform/index.ts';
import { CommitInDoubt, failureKind, unavailable } from './errors.ts';
import type { OpenCallRow } from './open-calls.ts';
import { clientConfig, drop, prepareSession } from './postgres-connection.ts';
import { type ReadCounters, readCounters } from './postgres-counters.ts';
import { LOCKS, lockNumber, type Statement } from './postgres-locks.ts';
import { decideUnits, readFences, readTwins, shareFences, toVersions } from './postgres-units.ts';
import { createRetry } from './retry.ts';
import type { LogUnit, LogUnitResult } from './storage.ts';
import type { LogSink } from './writer.ts';

/** How long a session of a process that is gone may still hold its log. */
const CLAIM_PATIENCE_MS = 12_000;
/** The same, when it is this process's own lost session, which is ended by force. */
const RECLAIM_PATIENCE_MS = 1_500;
/** No answer to a statement on the hot path in this time, and the connection is given up. */
const ANSWER_TIMEOUT_MS = 4_000;
const ATTEMPTS = 5;
/** Between two connections that fail; callers wait for a shorter time than they are ready to. */
const RECONNECT_MS = 50;
const LONGEST_RECONNECT_MS = 1_000;

export interface PostgresLog extends LogSink {
  claim(log: string): Promise<void>;
  /** Versions as last committed, whatever snapshot a transaction sees. */
  fences(log: string, units: LogUnit[]): Promise<Map<string, number>>;
  close(): Promise<void>;
}

/**
 * The connection that writes the log. It holds the log's advisory lock for as long as it lives, so there is never a second
 * writer; and once a new connection has the lock, the old one has ended and what it left behind is final.
 */
export function createPostgresLog(url: string, log: Log): PostgresLog {
  let session: { client: pg.Client; log: string } | undefined;
  let lastPid: number | undefined;
  let isFailing = false;
  const retry = createRetry(RECONNECT_MS, LONGEST_RECONNECT_MS);
  const closing = new AbortController();

  async function connection(id: string, patienceMs = RECLAIM_PATIENCE_MS): Promise<pg.Client> {
    if (session?.log === id) return session.client;
    if (isFailing) await retry.wait(closing.signal);
    const client = new pg.Client({ ...clientConfig(url), pipeline: true, query_timeout: ANSWER_TIMEOUT_MS });
    client.on('error', (error) => log.warn('the connection that writes the log was lost', { error }));
    client.on('end', () => {
      if (session?.client === client) session = undefined;
    });
    try {
      await client.connect();
      await prepareSession(client, { statementTimeoutMs: ANSWER_TIMEOUT_MS });
      await lock(client, id, patienceMs);
      const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
      lastPid = rows[0]?.pid;
    } catch (error) {
      isFailing = true;
      drop(client);
      throw error;
    }
    isFailing = false;
    retry.over();
    session = { client, log: id };
    return client;
  }

  async function lock(client: pg.Client, id: string, patienceMs: number): Promise<void> {
    const key = [LOCKS.log, lockNumber(id)];
    if (lastPid !== undefined) {
      // Only the holder of this very lock: the number may belong to another session by now.
      await client.query(
        `select pg_terminate_backend(pid) from pg_locks
         where locktype = 'advisory' and pid = $3 and granted and classid::bigint = $1 and objid = ($2::bigint & 4294967295)::oid
           and database = (select oid from pg_database where datname = current_database())`,
        [...key, lastPid],
      );
    }
    const giveUpAt = performance.now() + patienceMs;
    for (;;) {
      const { rows } = await client.query<{ taken: boolean }>(
        'select pg_try_advisory_lock($1::int, $2::int) as taken',
        key,
      );
      if (rows[0]?.taken) return;
      if (performance.now() > giveUpAt) {
        throw new GatehouseError(
          'conflict',
          'storage.log-in-use',
          `Another Gatehouse process writes the log ${id}. Stop it first, or give this one another replica name.`,
        );
      }
      await sleep(100);
    }
  }

  /** Sends all before the first is answered. */
  async function flight(client: pg.Client, statements: (Statement | string | undefined)[]): Promise<pg.QueryResult[]> {
    const sent = statements.filter((statement) => statement !== undefined).map((statement) => client.query(statement));
    const settled = await Promise.allSettled(sent);
    const failed = settled.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    return settled.map((result) => (result as PromiseFulfilledResult<pg.QueryResult>).value);
  }

  async function commitOnce(id: string, first: number, units: LogUnit[]): Promise<LogUnitResult[]> {
    const client = await connection(id);
    const run = async (statement: Statement) => (await client.query(statement)).rows;
    try {
      const fences = readFences(units);
      const counters = readCounters(units);
      const twins = readTwins(id, units);
      const answers = await flight(client, ['begin', shareFences(units), fences, ...counters, twins]);
      const open = ((twins && answers.pop()?.rows) ?? []) as OpenCallRow[];
      const [counterRows, spends] = counters.length > 0 ? answers.slice(-2) : [];
      const read = { counters: counterRows?.rows ?? [], spends: spends?.rows ?? [] } as ReadCounters;
      const versions = toVersions(fences ? (answers[2]?.rows ?? []) : []);
      const { results, inserts } = await decideUnits(run, id, first, units, versions, read, open);
      try {
        await flight(client, [...inserts, 'commit']);
      } catch (error) {
        throw isAnswer(error) ? error : new CommitInDoubt(results, error);
      }
      return results;
    } catch (error) {
      if (isAnswer(error)) await client.query('rollback');
      else abandon(client);
      throw error;
    }
  }

  function abandon(client: pg.Client): void {
    if (session?.client === client) session = undefined;
    drop(client);
  }

  return {
    async claim(id) {
      await connection(id, CLAIM_PATIENCE_MS);
    },
    async commit(id, first, units) {
      for (let failures = 1; ; failures++) {
        try {
          return await commitOnce(id, first, units);
        } catch (error) {
          if (failures === ATTEMPTS || failureKind(error) !== 'retry') throw error;
        }
      }
    },
    async size(id) {
      const client = await connection(id);
      try {
        const { rows } = await client.query('select max(sequence) + 1 as size from records where log = $1', [id]);
        return (rows[0]?.size as number | null) ?? 0;
      } catch (error) {
        if (!isAnswer(error)) abandon(client);
        throw unavailable(error);
      }
    },
    async fences(id, units) {
      const statement = readFences(units);
      if (!statement) return new Map();
      return toVersions((await (await connection(id)).query(statement)).rows);
    },
    async close() {
      closing.abort();
      const client = session?.client;
      session = undefined;
      await client?.end();
    },
  };
}

/** True for an error that the server gave as its answer, after which the session goes on. */
function isAnswer(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.severity === 'ERROR';
}
