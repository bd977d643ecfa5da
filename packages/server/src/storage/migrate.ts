import { type Kysely, sql } from 'kysely';
import { GatehouseError } from '../platform/index.ts';
import type { Dialect } from './backend.ts';
import { type Migration, migrations as released } from './migrations/index.ts';

interface MigrationTables {
  migrations: { name: string };
}

/** Any fixed number: replicas that start together migrate one after another. */
const MIGRATION_LOCK = 7_160_451_298;

/**
 * Brings the database to the newest version in one transaction: all of it or nothing. Refuses a database that a newer version
 * has written, because this one doesn't know what its rows mean.
 */
export async function migrate(
  db: Kysely<unknown>,
  dialect: Dialect,
  migrations: readonly Migration[] = released,
): Promise<string[]> {
  return db.transaction().execute(async (transaction) => {
    if (dialect === 'postgres') {
      // Waiting for the replica that migrates takes as long as it takes.
      await sql`set local lock_timeout = 0`.execute(transaction);
      await sql`select pg_advisory_xact_lock(${sql.lit(MIGRATION_LOCK)})`.execute(transaction);
    }
    await transaction.schema
      .createTable('migrations')
      .ifNotExists()
      .addColumn('name', 'text', (column) => column.primaryKey().notNull())
      .execute();
    const tables = transaction as unknown as Kysely<MigrationTables>;
    const done = (await tables.selectFrom('migrations').select('name').orderBy('name').execute()).map(
      (row) => row.name,
    );
    const unknown = done.find((name, index) => migrations[index]?.name !== name);
    if (unknown !== undefined) {
      throw new GatehouseError(
        'conflict',
        'storage.newer-schema',
        `The database was written by another version of Gatehouse (${unknown}). Start the version that wrote it, or a newer one.`,
      );
    }
    const missing = migrations.slice(done.length);
    for (const { name, up } of missing) {
      await up(transaction, dialect);
      await tables.insertInto('migrations').values({ name }).execute();
    }
    return missing.map(({ name }) => name);
  });
}
