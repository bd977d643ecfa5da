import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Kysely } from 'kysely';
import { createLog } from '../platform/index.ts';
import type { Dialect } from './backend.ts';
import { migrate } from './migrate.ts';
import { type Migration, migrations } from './migrations/index.ts';
import type { StorageOptions } from './open.ts';
import { createPool } from './postgres-connection.ts';
import { postgresDialect } from './postgres-dialect.ts';
import { sqliteDialect } from './sqlite-dialect.ts';
import { startSqliteThread } from './sqlite-thread.ts';
import { onEachBackend } from './suite.ts';

type AnyTables = Record<string, Record<string, unknown>>;

/** The bare database, before Gatehouse has opened it. */
async function bare(
  t: TestContext,
  { database, dataDir }: StorageOptions,
): Promise<{ db: Kysely<AnyTables>; dialect: Dialect; end(): Promise<void> }> {
  let isEnded = false;
  const once = (end: () => Promise<void>) => async () => {
    if (!isEnded) await end();
    isEnded = true;
  };
  if (database === 'sqlite') {
    const writer = await startSqliteThread({ file: join(dataDir, 'gatehouse.db'), role: 'writer' });
    const end = once(writer.close);
    t.after(end);
    return { db: new Kysely<AnyTables>({ dialect: sqliteDialect({ writer }) }), dialect: 'sqlite', end };
  }
  const pool = createPool(
    database,
    1,
    { statementTimeoutMs: 10_000 },
    createLog('error', () => {}),
  );
  const db = new Kysely<AnyTables>({ dialect: postgresDialect(pool) });
  const end = once(() => db.destroy());
  t.after(end);
  return { db, dialect: 'postgres', end };
}

const run = (db: Kysely<AnyTables>, dialect: Dialect, list: readonly Migration[]) =>
  migrate(db as Kysely<unknown>, dialect, list);

/** One row in every table, each column filled by its type. */
async function fill(db: Kysely<AnyTables>): Promise<string[]> {
  const tables = (await db.introspection.getTables()).filter((table) => table.name !== 'migrations' && !table.isView);
  for (const { name, columns } of tables) {
    const values = columns
      .filter((column) => !column.isAutoIncrementing && name + column.name !== 'changessequence')
      .map((column) => [column.name, sample(column.dataType)] as const);
    await db.insertInto(name).values(Object.fromEntries(values)).execute();
  }
  return tables.map((table) => table.name);
}

function sample(dataType: string): unknown {
  if (/int/i.test(dataType)) return 1;
  return /blob|bytea/i.test(dataType) ? Uint8Array.of(1, 2) : 'x';
}

/** Dropped on purpose: replicas of an earlier run; agreements that no record says, which are given again, and how far logs were looked through. */
const emptied = new Set(['replicas', 'retention_agreements', 'retention_marks']);

for (const [index, { name }] of migrations.entries()) {
  onEachBackend(`a database of version ${name} is brought to this one with its rows`, async ({ open, options }, t) => {
    const { db, dialect, end } = await bare(t, options);
    await run(db, dialect, migrations.slice(0, index + 1));
    const filled = await fill(db);
    assert.ok(filled.includes('records'));
    await end();

    const storage = await open();
    const now = new Set((await storage.db.introspection.getTables()).map((table) => table.name));
    for (const table of filled) {
      if (!now.has(table) || emptied.has(table)) continue;
      const rows = await (storage.db as unknown as Kysely<AnyTables>).selectFrom(table).selectAll().execute();
      // What a migration leaves for the next start to do comes to `meta`.
      const kept = rows.filter(({ key }) => table !== 'meta' || !String(key).startsWith('seal:'));
      assert.equal(kept.length, 1, table);
    }
  });
}

test('migrations run in the order of their names, in which a start looks for them again', () => {
  const names = migrations.map(({ name }) => name);
  assert.deepEqual(names, names.toSorted());
});

onEachBackend('a database that a newer version has written is refused', async ({ open, options }, t) => {
  const { db, dialect, end } = await bare(t, options);
  await run(db, dialect, [...migrations, { name: '9999-future', up: async () => {} }]);
  await end();
  await assert.rejects(open(), { code: 'storage.newer-schema' });
});

onEachBackend('a migration that fails leaves the database as it was', async ({ open, options }, t) => {
  const { db, dialect, end } = await bare(t, options);
  const failing: Migration = {
    name: '9999-failing',
    async up(within) {
      await within.schema.createTable('half_done').addColumn('id', 'text').execute();
      throw new Error('power cut');
    },
  };
  await run(db, dialect, migrations);
  await assert.rejects(run(db, dialect, [...migrations, failing]), { message: 'power cut' });
  await end();
  const storage = await open();
  const tables = (await storage.db.introspection.getTables()).map((table) => table.name);
  assert.ok(tables.includes('records') && !tables.includes('half_done'));
});

onEachBackend('keys that agents have are theirs alone from the migration on', async ({ open, options }, t) => {
  const { db, dialect, end } = await bare(t, options);
  await run(
    db,
    dialect,
    migrations.filter(({ name }) => name < '0014'),
  );
  const key = {
    kty: 'EC',
    crv: 'P-256',
    x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
    y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
  };
  const common = {
    environment: 'prod',
    owner: 'o',
    blueprint: 'b',
    state: 'active',
    epoch: 1,
    killed_at: null,
    updated_at: 1,
  };
  for (const [name, keys] of [
    ['agent-a', [key]],
    ['agent-b', [key]],
    ['agent-c', []],
  ] as const)
    await db
      .insertInto('agents')
      .values({ ...common, name, body: JSON.stringify({ keys }) })
      .execute();
  await end();
  const storage = await open();
  const rows = await storage.db.selectFrom('agent_keys').selectAll().execute();
  assert.deepEqual(rows, [{ thumbprint: 'cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s', agent: 'agent-a' }]);
});
