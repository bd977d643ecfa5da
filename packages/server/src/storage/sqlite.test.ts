import assert from 'node:assert/strict';
import { renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CompiledQuery, sql } from 'kysely';
import type { Storage } from './storage.ts';
import { LOG, onSqlite, placesIn, unitOf, upTo } from './suite.ts';
import { startAppender } from './suite-processes.ts';

const UNAVAILABLE = { code: 'storage.unavailable', kind: 'unavailable' };

/** Nothing was written meanwhile, and what comes next follows on. */
async function assertRecovered(storage: Storage): Promise<void> {
  const before = await placesIn(storage);
  assert.deepEqual(before, upTo(before.length));
  assert.deepEqual(await storage.append(unitOf(2)), { ok: true, sequences: [before.length, before.length + 1] });
}

onSqlite('only this user can read the data', async ({ open, options }) => {
  const dataDir = join(options.dataDir, 'new');
  const storage = await open({ dataDir });
  await storage.openLog(LOG);
  await storage.append(unitOf());
  assert.equal(statSync(dataDir).mode & 0o777, 0o700);
  for (const name of ['gatehouse.db', 'gatehouse.db-wal', 'gatehouse.db-shm', 'gatehouse.db.lock']) {
    assert.equal(statSync(join(dataDir, name)).mode & 0o777, 0o600, name);
  }
});

onSqlite('a data directory that is in use is refused, to this process and to others', async ({ open, options }, t) => {
  const other = await startAppender(t, options);
  await assert.rejects(open(), { code: 'storage.in-use', kind: 'conflict' });
  other.process.kill('SIGKILL');
  await new Promise((resolve) => other.process.once('exit', resolve));
  const storage = await open();
  await assert.rejects(open(), { code: 'storage.in-use' });
  // The refusal must not have cost the first its own locks (POSIX drops them when any handle of the file is closed).
  await assert.rejects(startAppender(t, options), { code: 'storage.in-use' });
  await storage.close();
  await open();
});

onSqlite(
  'a full disk refuses what does not fit, keeps what was acknowledged, and is used again once there is room',
  async ({ open }) => {
    const storage = await open();
    await storage.openLog(LOG);
    await storage.append(unitOf());
    const limitPages = (count: number) => sql`pragma max_page_count = ${sql.lit(count)}`.execute(storage.db);
    const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(storage.db);
    await limitPages((rows[0]?.page_count ?? 0) + 8);
    const large = () =>
      unitOf(1, {
        bodies: [{ actionId: 'act_1', kind: 'arguments', salt: new Uint8Array(1), body: 'x'.repeat(1e6), at: 1 }],
      });
    await assert.rejects(storage.append(large()), UNAVAILABLE);
    await assert.rejects(
      storage.transaction(async (transaction) => {
        await storage.appendWithin(transaction, large());
      }),
      UNAVAILABLE,
    );
    await assert.rejects(
      storage.db
        .insertInto('meta')
        .values({ key: 'a', value: 'x'.repeat(1e6) })
        .execute(),
      UNAVAILABLE,
    );
    const acknowledged = [];
    for (let isFull = false; !isFull; ) {
      const result = await storage.append(unitOf(20)).catch((error) => assert.equal(error.code, 'storage.unavailable'));
      if (result?.ok) acknowledged.push(...result.sequences);
      else isFull = true;
    }
    assert.deepEqual(await placesIn(storage), upTo(1 + acknowledged.length));
    assert.deepEqual(await storage.db.selectFrom('meta').selectAll().execute(), []);
    await limitPages(1_000_000);
    await assertRecovered(storage);
  },
);

onSqlite(
  'a database that another program locks, or that turns read-only, refuses calls until it is free',
  async ({ open, options }) => {
    const storage = await open();
    await storage.openLog(LOG);
    const other = new DatabaseSync(join(options.dataDir, 'gatehouse.db'));
    other.exec('begin immediate');
    await assert.rejects(storage.append(unitOf()), UNAVAILABLE);
    await assert.rejects(
      storage.transaction(async () => {}),
      UNAVAILABLE,
    );
    other.exec('rollback');
    other.close();
    await assertRecovered(storage);

    await sql`pragma query_only = on`.execute(storage.db);
    await assert.rejects(storage.append(unitOf()), UNAVAILABLE);
    await sql`pragma query_only = off`.execute(storage.db);
    await assertRecovered(storage);
  },
);

onSqlite('a database file that is moved away or deleted takes no more records', async ({ open, options }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const file = join(options.dataDir, 'gatehouse.db');
  renameSync(file, `${file}.moved`);
  await assert.rejects(storage.append(unitOf()), UNAVAILABLE);
  await assert.rejects(
    storage.transaction(async () => {}),
    UNAVAILABLE,
  );
  renameSync(`${file}.moved`, file);
  await assertRecovered(storage);
  rmSync(options.dataDir, { recursive: true });
  await assert.rejects(storage.append(unitOf()), UNAVAILABLE);
});

onSqlite('a long search keeps nobody from being recorded', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const finished: string[] = [];
  const search = storage.db
    .withRecursive('numbers(n)', (db) =>
      db
        .selectNoFrom((select) => select.val(1).as('n'))
        .unionAll(
          db
            .selectFrom('numbers')
            .select((select) => select('n', '+', 1).as('n'))
            .where('n', '<', 3_000_000),
        ),
    )
    .selectFrom('numbers')
    .select((select) => select.fn.max('n').as('last'))
    .executeTakeFirstOrThrow()
    .then((row) => {
      finished.push('search');
      return row;
    });
  await storage.append(unitOf());
  finished.push('append');
  assert.deepEqual(await search, { last: 3_000_000 });
  assert.deepEqual(finished, ['append', 'search']);
});

onSqlite('replicas of an earlier run are not waited for', async ({ open, options }, t) => {
  const crashed = await startAppender(t, options, { replica: 'crashed' });
  crashed.process.kill('SIGKILL');
  await new Promise((resolve) => crashed.process.once('exit', resolve));
  const storage = await open();
  await storage.feed.start('a', async () => {});
  await storage.transaction((transaction) => storage.announce(transaction, 'agent', 'x', 1));
  assert.deepEqual(await storage.feed.waitForAll(await storage.feed.head()), { acknowledged: ['a'], expired: [] });
});

onSqlite('a page of records is found by an index, whatever it is searched by', async ({ open }) => {
  const storage = await open();
  for (const column of [null, 'action_id', 'agent', 'task', 'tool', 'person', 'approval', 'ticket'] as const) {
    const page = storage.db
      .selectFrom('records')
      .select('entry')
      .$if(column !== null, (query) => query.where(column ?? 'agent', '=', 'x'))
      .orderBy('at', 'desc')
      .orderBy('log', 'desc')
      .orderBy('sequence', 'desc')
      .limit(50);
    const { sql: text, parameters } = page.compile();
    const plan = await storage.db.executeQuery<{ detail: string }>(
      CompiledQuery.raw(`explain query plan ${text}`, [...parameters]),
    );
    assert.match(plan.rows[0]?.detail ?? '', /USING INDEX records_/, String(column));
  }
});
