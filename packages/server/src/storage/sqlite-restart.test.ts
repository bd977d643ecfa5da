import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { sql } from 'kysely';
import type { Storage } from './storage.ts';
import { LOG, onSqlite, placesIn, unitOf, upTo } from './suite.ts';

const UNAVAILABLE = { code: 'storage.unavailable', kind: 'unavailable' };

/** The threads that are started while this works, in their order: the writer first, then reader and checkpoints. */
async function threadsOf<T>(work: () => Promise<T>): Promise<[T, Worker[]]> {
  const threads: Worker[] = [];
  const add = (worker: Worker) => threads.push(worker);
  process.on('worker', add);
  try {
    return [await work(), threads];
  } finally {
    process.off('worker', add);
  }
}

async function soon<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === 3_000) throw error;
      await sleep(10);
    }
  }
}

const read = (storage: Storage) => storage.db.selectFrom('meta').select('key').execute();
const write = (storage: Storage, key: string) =>
  storage.transaction((transaction) => transaction.insertInto('meta').values({ key, value: 'x' }).execute());

/** @proves law-1.thread */
onSqlite(
  'a database thread that dies is started anew: all is refused meanwhile, and nothing is lost',
  async ({ open }) => {
    const [storage, threads] = await threadsOf(() => open());
    await storage.openLog(LOG);
    await storage.append(unitOf(2));
    const [writer, reader, checkpoints] = threads;
    for (const thread of [writer, reader, checkpoints]) {
      // Whatever waits is refused, or was done.
      const asked = Array.from({ length: 20 }, () => storage.append(unitOf()));
      const ended = thread?.terminate();
      const settled = await Promise.allSettled(asked);
      for (const each of settled) if (each.status === 'rejected') assert.equal(each.reason.code, UNAVAILABLE.code);
      await ended;
      await soon(() => read(storage));
      await soon(() => storage.append(unitOf()));
      const places = await placesIn(storage);
      assert.deepEqual(places, upTo(places.length));
      const written = settled.filter(({ status }) => status === 'fulfilled').length;
      assert.ok(places.length >= 2 + written);
    }
  },
);

/** @proves law-1.thread */
onSqlite('a transaction whose thread dies does nothing, and none of it is done by the next one', async ({ open }) => {
  const [storage, [writer]] = await threadsOf(() => open());
  await storage.openLog(LOG);
  await assert.rejects(
    storage.transaction(async (transaction) => {
      await transaction.insertInto('meta').values({ key: 'first', value: 'x' }).execute();
      await writer?.terminate();
      for (let tries = 0; tries < 50; tries++) {
        await transaction
          .insertInto('meta')
          .values({ key: `after-${tries}`, value: 'x' })
          .execute()
          .catch(() => undefined);
        await sleep(5);
      }
    }),
  );
  await soon(() => write(storage, 'last'));
  const keys = (await read(storage)).map(({ key }) => key);
  assert.ok(keys.includes('last'));
  assert.deepEqual(
    keys.filter((key) => key === 'first' || key.startsWith('after-')),
    [],
  );
});

/** @proves law-1.thread */
onSqlite(
  'a file that was put in the place of the database is not taken for it by a thread that is started anew',
  async ({ open, options }) => {
    const [storage, [writer]] = await threadsOf(() => open());
    await storage.openLog(LOG);
    await storage.append(unitOf());
    const file = join(options.dataDir, 'gatehouse.db');
    renameSync(file, `${file}.away`);
    await writer?.terminate();
    await sleep(300);
    await assert.rejects(storage.append(unitOf()), UNAVAILABLE);
    renameSync(`${file}.away`, file);
    await soon(() => storage.append(unitOf()));
  },
);

/** @proves limits.sqlite-read */
onSqlite('a statement that reads for too long is given up, and the others go on', async ({ open }) => {
  const storage = await open({ readLimitMs: 200 });
  const endless = sql<{
    x: number;
  }>`(with recursive c (x) as (select 1 union all select x + 1 from c limit 12000000) select max(x) as x from c)`;
  const slow = storage.db.selectFrom(endless.as('t')).selectAll().execute();
  const behind = read(storage);
  await assert.rejects(slow, UNAVAILABLE);
  await assert.rejects(behind, UNAVAILABLE);
  await soon(() => read(storage));
});
