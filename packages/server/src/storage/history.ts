import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Client } from 'pg';
import { clientConfig, prepareSession } from './postgres-connection.ts';
import type { Tables } from './schema/index.ts';

/** Where the database is, as plain data: it can be given to a thread, which then reads on a connection of its own. */
export type HistoryPlace = { sqlite: string } | { postgres: string };

export const historyPlace = (database: string, dataDir: string): HistoryPlace =>
  database === 'sqlite' ? { sqlite: join(dataDir, 'gatehouse.db') } : { postgres: database };

/** A decision as it was recorded, with the arguments that stand beside it: null where they were erased, or there are none. */
export interface RecordedDecision {
  log: string;
  sequence: number;
  at: number;
  action_id: string;
  operation: string;
  agent: string | null;
  task: string | null;
  tool: string | null;
  resource: string | null;
  entry: string;
  arguments: string | null;
}

export type HistoryAfter = Pick<RecordedDecision, 'at' | 'log' | 'sequence'>;

/**
 * Long reads of what was recorded, beside the storage: on a connection that only reads, for a thread of its own. Nothing here waits for
 * the gate or keeps it waiting.
 */
export interface History {
  /** In the order of the records; the first decision on each action, not that it then ran with its approval. */
  decisions(until: number, after: HistoryAfter, limit: number): Promise<RecordedDecision[]>;
  tasks(ids: readonly string[]): Promise<Tables['tasks'][]>;
  agents(names: readonly string[]): Promise<Tables['agents'][]>;
  close(): Promise<void>;
}

const HISTORY_STATEMENT_TIMEOUT_MS = 60_000;

/** A connection that only reads, for a thread of its own; the thread ends when the connection does. */
export interface Reading {
  query: Query;
  close(): Promise<void>;
}

type Query = <Row>(sql: string, parameters: readonly (string | number)[]) => Promise<Row[]>;

export async function openHistory(place: HistoryPlace): Promise<History> {
  const { query, close } = await openReading(place);
  const named = <Row>(table: string, column: string, values: readonly string[]) =>
    values.length === 0
      ? Promise.resolve([])
      : query<Row>(`select * from ${table} where ${column} in (${values.map(() => '?').join(', ')})`, values);
  return {
    decisions: (until, { at, log, sequence }, limit) =>
      query<RecordedDecision>(
        `select r.log, r.sequence, r.at, r.action_id, r.operation, r.agent, r.task, r.tool, r.resource, r.entry, b.body as arguments
           from records r left join bodies b on b.action_id = r.action_id and b.kind = 'arguments'
          where (r.at, r.log, r.sequence) > (?, ?, ?) and r.at < ?
            and r.kind in ('request', 'dispatch') and not (r.kind = 'dispatch' and r.approval is not null)
          order by r.at, r.log, r.sequence limit ?`,
        [at, log, sequence, until, limit],
      ),
    tasks: (ids) => named('tasks', 'id', ids),
    agents: (names) => named('agents', 'name', names),
    close,
  };
}

export async function openReading(place: HistoryPlace): Promise<Reading> {
  return 'sqlite' in place ? openSqlite(place.sqlite) : openPostgres(place.postgres);
}

function openSqlite(file: string): Reading {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 2_000, defensive: true });
  database.exec('pragma trusted_schema = off; pragma temp_store = memory; pragma cache_size = -16384');
  return {
    query: async <Row>(sql: string, parameters: readonly (string | number)[]) =>
      database.prepare(sql).all(...parameters) as Row[],
    async close() {
      database.close();
    },
  };
}

async function openPostgres(url: string): Promise<Reading> {
  const { default: pg } = await import('pg');
  const client: Client = new pg.Client({ ...clientConfig(url), query_timeout: HISTORY_STATEMENT_TIMEOUT_MS + 3_000 });
  client.on('error', (error) => {
    throw error;
  });
  await client.connect();
  await prepareSession(client, { statementTimeoutMs: HISTORY_STATEMENT_TIMEOUT_MS });
  await client.query('set default_transaction_read_only = on');
  return {
    async query<Row>(sql: string, parameters: readonly (string | number)[]) {
      let at = 0;
      const { rows } = await client.query(
        sql.replaceAll('?', () => `$${++at}`),
        [...parameters],
      );
      return rows as Row[];
    },
    close: () => client.end(),
  };
}
