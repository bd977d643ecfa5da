import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import pg from 'pg';

/** What stands in the database, read past the server, as an auditor with a copy of it would. */
export interface StoredRecord {
  sequence: number;
  kind: string;
  action: string;
  tool: string | null;
  result: string | null;
  approval: string | null;
  entry: string;
}
export interface StoredApproval {
  id: string;
  state: string;
  consumedBy: string | null;
}

export interface StoredLease {
  id: string;
  state: string;
  createdAt: number | null;
  activeAt: number | null;
  expiresAt: number;
  nextTryAt: number | null;
  renewals: number;
}

export interface StoredReader {
  logs(): Promise<string[]>;
  records(log: string, from: number): Promise<StoredRecord[]>;
  /** Arguments of the actions that have records from this place on. */
  arguments(log: string, from: number): Promise<{ action: string; body: string }[]>;
  approvals(): Promise<StoredApproval[]>;
  leases(): Promise<StoredLease[]>;
}

const queries = {
  logs: 'select id from logs order by id',
  records: `select sequence, kind, action_id as action, tool, result, approval, entry from records
            where log = $1 and sequence >= $2 order by sequence`,
  arguments: `select distinct action_id as action, body from bodies where kind = 'arguments'
              and action_id in (select action_id from records where log = $1 and sequence >= $2)`,
  approvals: 'select id, state, consumed_by as "consumedBy" from approvals',
  leases: `select id, state, created_at as "createdAt", active_at as "activeAt", expires_at as "expiresAt",
           next_try_at as "nextTryAt", renewals from leases`,
};

export function createStoredReader(database: string, dataDir: string): StoredReader {
  const query = database === 'sqlite' ? sqliteQuery(join(dataDir, 'gatehouse.db')) : postgresQuery(database);
  return {
    logs: async () => (await query<{ id: string }>(queries.logs, [])).map(({ id }) => id),
    async records(log, from) {
      const rows = await query<StoredRecord>(queries.records, [log, from]);
      return rows.map((row) => ({ ...row, sequence: Number(row.sequence) }));
    },
    arguments: (log, from) => query(queries.arguments, [log, from]),
    approvals: () => query(queries.approvals, []),
    async leases() {
      const rows = await query<StoredLease>(queries.leases, []);
      const number = (value: number | null) => value && Number(value);
      return rows.map((row) => ({
        ...row,
        createdAt: number(row.createdAt),
        activeAt: number(row.activeAt),
        expiresAt: Number(row.expiresAt),
        nextTryAt: number(row.nextTryAt),
        renewals: Number(row.renewals),
      }));
    },
  };
}

type Query = <Row>(text: string, values: (string | number)[]) => Promise<Row[]>;

/** Opened for each look: a connection that stays would have a part in what happens to the files when the server dies. */
function sqliteQuery(file: string): Query {
  return async (text, values) => {
    const database = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
    try {
      return database.prepare(text.replaceAll(/\$\d/g, '?')).all(...values) as never;
    } finally {
      database.close();
    }
  };
}

function postgresQuery(connectionString: string): Query {
  return async (text, values) => {
    const client = new pg.Client({ connectionString });
    await client.connect();
    try {
      return (await client.query(text, values)).rows;
    } finally {
      await client.end();
    }
  };
}
