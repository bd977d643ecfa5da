import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { toStorageError } from './errors.ts';
import type { SqliteThread } from './sqlite-thread.ts';

export interface SqliteDialectOptions {
  writer: SqliteThread;
  /** Where plain selects outside a transaction go; the writer's thread when absent. */
  reader?: SqliteThread;
  /** Waits for the writer's connection and keeps others from it until released. Absent: the caller holds it already. */
  exclusive?: () => Promise<() => void>;
}

/** Kysely over the database threads. */
export function sqliteDialect(options: SqliteDialectOptions): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createDriver: () => createDriver(options),
  };
}

interface Connection extends DatabaseConnection {
  /** Set while a transaction is open on this connection. */
  release: (() => void) | undefined;
  /** Not waited for: the thread goes by order, and refuses what follows a transaction that could not begin. */
  begun: Promise<undefined> | undefined;
}

const noRelease = () => {};

function createDriver({ writer, reader, exclusive }: SqliteDialectOptions): Driver {
  const turn = exclusive ?? (async () => noRelease);

  async function execute(connection: Connection, query: CompiledQuery): Promise<QueryResult<never>> {
    const request = { sql: query.sql, parameters: query.parameters, within: connection.release !== undefined };
    let release: (() => void) | undefined;
    try {
      const isPlainRead = reader && !connection.release && query.query.kind === 'SelectQueryNode';
      if (!isPlainRead && !connection.release) release = await turn();
      const reply = (isPlainRead ? reader : writer).call('query', request);
      const [, { rows, changes, insertId }] = await Promise.all([connection.begun, reply]);
      return { rows: rows as never[], numAffectedRows: changes, insertId };
    } catch (error) {
      throw toStorageError(error);
    } finally {
      release?.();
    }
  }

  async function end(connection: DatabaseConnection, kind: 'commit' | 'rollback'): Promise<void> {
    const held = connection as Connection;
    try {
      await Promise.all([kind === 'commit' ? held.begun : undefined, writer.call(kind, {})]);
    } catch (error) {
      // A commit that fails (disk full) may leave the transaction open; nobody else may find it so.
      if (kind === 'commit') await writer.call('rollback', {});
      throw toStorageError(error);
    } finally {
      held.release?.();
      held.release = undefined;
      held.begun = undefined;
    }
  }

  return {
    async init() {},
    async acquireConnection() {
      const connection: Connection = {
        release: undefined,
        begun: undefined,
        executeQuery: (query) => execute(connection, query),
        async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
          yield await execute(connection, query);
        },
      };
      return connection;
    },
    async beginTransaction(connection) {
      const held = connection as Connection;
      held.release = await turn();
      held.begun = writer.call('begin', {});
      // The first statement reports it, or the end of the transaction.
      held.begun.catch(() => undefined);
    },
    commitTransaction: (connection) => end(connection, 'commit'),
    async rollbackTransaction(connection) {
      // After a failed commit there is nothing left to roll back, and the connection may serve another by now.
      if ((connection as Connection).release) await end(connection, 'rollback');
    },
    async releaseConnection() {},
    async destroy() {},
  };
}
