import { type DatabaseConnection, type Dialect, type Driver, PostgresDialect, PostgresDriver } from 'kysely';
import type pg from 'pg';
import { toStorageError } from './errors.ts';

/** Kysely's own dialect; only its errors leave as ours. */
export function postgresDialect(pool: pg.Pool): Dialect {
  const dialect = new PostgresDialect({ pool });
  return {
    createAdapter: () => dialect.createAdapter(),
    createQueryCompiler: () => dialect.createQueryCompiler(),
    createIntrospector: (db) => dialect.createIntrospector(db),
    createDriver: () => createDriver(new PostgresDriver({ pool })),
  };
}

interface Wrapped extends DatabaseConnection {
  inner: DatabaseConnection;
}

function createDriver(driver: PostgresDriver): Driver {
  const inner = (connection: DatabaseConnection) => (connection as Wrapped).inner as never;
  return {
    init: () => driver.init(),
    acquireConnection: () =>
      translated(async () => {
        const connection = await driver.acquireConnection();
        const wrapped: Wrapped = {
          inner: connection,
          executeQuery: (query) => translated(() => connection.executeQuery(query)),
          streamQuery: (query, chunkSize) => connection.streamQuery(query, chunkSize),
        };
        return wrapped;
      }),
    beginTransaction: (connection, settings) => translated(() => driver.beginTransaction(inner(connection), settings)),
    commitTransaction: (connection) => translated(() => driver.commitTransaction(inner(connection))),
    rollbackTransaction: (connection) => translated(() => driver.rollbackTransaction(inner(connection))),
    savepoint: (connection, name, compile) => driver.savepoint(inner(connection), name, compile),
    rollbackToSavepoint: (connection, name, compile) => driver.rollbackToSavepoint(inner(connection), name, compile),
    releaseSavepoint: (connection, name, compile) => driver.releaseSavepoint(inner(connection), name, compile),
    releaseConnection: (connection) => driver.releaseConnection(inner(connection)),
    destroy: () => driver.destroy(),
  };
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toStorageError(error);
  }
}
