import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import { createLog, Secret, systemClock } from '../../platform/index.ts';
import { openStorage } from '../open.ts';
import { openBytes, sealedColumns } from '../sealed-columns.ts';
import { createSealer, sealedWith } from '../sealer.ts';
import type { AdministrativeChange, RecordChange, Storage } from '../storage.ts';
import { onEachBackend, onSqlite, upTo } from '../suite.ts';
import { openKeyRing } from './key-ring.ts';
import { rewrapAll } from './rewrap.ts';

const COUNT = 400;
const environment = {
  OLD: process.env.OLD ?? randomBytes(32).toString('base64'),
  NEW: process.env.NEW ?? randomBytes(32).toString('base64'),
  THIRD: process.env.THIRD ?? randomBytes(32).toString('base64'),
};

const ringOf = (storage: Storage, ...specs: string[]) =>
  openKeyRing({ storage, clock: systemClock, dataDir: '/nonexistent', environment, specs });

function recorder(): { recordChange: RecordChange; changes: AdministrativeChange[] } {
  const changes: AdministrativeChange[] = [];
  return {
    changes,
    recordChange: async (_transaction, ...made) => {
      changes.push(...made);
    },
  };
}

async function fill(storage: Storage): Promise<void> {
  const ring = await ringOf(storage, 'env:OLD');
  const sealer = createSealer(ring);
  const rows = upTo(COUNT).map((index) => ({
    name: `secret-${String(index).padStart(4, '0')}`,
    sealed: sealer.seal(new Secret(`value ${index}`), `secret:${index}`),
    origins: '[]',
    updated_at: 1,
  }));
  await storage.db.insertInto('secrets').values(rows).execute();
}

const keysOf = async (storage: Storage) => {
  const rows = await storage.db.selectFrom('secrets').select('sealed').execute();
  return rows.map(({ sealed }) => sealedWith(sealed));
};

if (process.argv[2] === 'rewrap') {
  // The process that is killed: each line says how far it has come.
  const storage = await openStorage({
    database: process.argv[3] as string,
    dataDir: process.argv[4] as string,
    log: createLog('error', () => {}),
    clock: systemClock,
  });
  await storage.feed.start('a', async () => {});
  const ring = await ringOf(storage, 'env:NEW', 'env:OLD');
  const { recordChange } = recorder();
  const onProgress = ({ rewrapped }: { rewrapped: number }) => process.stdout.write(`${rewrapped}\n`);
  await rewrapAll({ storage, ring, recordChange, clock: systemClock }, { to: undefined, by: 'test', onProgress });
} else {
  /** @proves keys.rewrap */
  onEachBackend(
    'killed in the middle, sealing anew loses nothing, and goes on where it was',
    async ({ open, options }, t) => {
      const before = await open();
      await fill(before);
      await before.close();

      const args = [fileURLToPath(import.meta.url), 'rewrap', options.database, options.dataDir];
      const child = spawn(process.execPath, args, {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, ...environment },
      });
      t.after(() => child.kill('SIGKILL'));
      await once(child.stdout, 'data');
      child.kill('SIGKILL');
      await once(child, 'close');

      const storage = await open();
      await storage.feed.start('a', async () => {});
      await assert.rejects(
        ringOf(storage, 'env:NEW'),
        { code: 'key-encryption.missing' },
        'the old key is still needed',
      );
      const ring = await ringOf(storage, 'env:OLD', 'env:NEW');
      const [old, next] = ring.held();
      assert.ok(old && next);
      assert.equal(ring.current().id, next.id);
      const half = await keysOf(storage);
      assert.ok(half.includes(old.id) && half.includes(next.id), 'it was killed too early or too late');
      const sealer = createSealer(ring);
      const readable = async (from: ReturnType<typeof createSealer>) => {
        const rows = await storage.db.selectFrom('secrets').selectAll().orderBy('name').execute();
        assert.deepEqual(
          rows.map(({ sealed }, index) => from.open(sealed, `secret:${index}`).reveal()),
          upTo(COUNT).map((index) => `value ${index}`),
        );
      };
      await readable(sealer);

      const { recordChange, changes } = recorder();
      const done = await rewrapAll(
        { storage, ring, recordChange, clock: systemClock },
        { to: next.id, by: 'person:a@b.test' },
      );
      assert.equal(done.rewrapped, half.filter((id) => id === old.id).length);
      assert.ok((await keysOf(storage)).every((id) => id === next.id));
      await readable(createSealer(next.key));
      assert.deepEqual(
        changes.map(({ operation, by }) => [operation, by]),
        [['key-encryption.rewrap', 'person:a@b.test']],
      );
      assert.match(
        String(changes[0]?.changes),
        new RegExp(`${COUNT} verified .*${next.id}.*${old.id} \\(env:OLD\\) retired`),
      );
      assert.equal((await ringOf(storage, 'env:NEW')).current().id, next.id, 'the new key is enough now');
    },
  );

  onEachBackend(
    'what is sealed while it runs is sealed with the new key, and no change in between is overwritten',
    async ({ open }) => {
      const storage = await open();
      await fill(storage);
      await storage.feed.start('a', async () => {});
      const ring = await ringOf(storage, 'env:NEW', 'env:OLD');
      const sealer = createSealer(ring);
      let writes: Promise<unknown>[] = [];
      const change = (name: string) => {
        const sealed = sealer.seal(new Secret('changed'), 'x');
        writes.push(storage.db.updateTable('secrets').set({ sealed }).where('name', '=', name).execute());
      };
      // One by one from behind, so that some are changed between being read and being written.
      let last = COUNT;
      const timer = setInterval(() => last > 0 && change(`secret-${String(--last).padStart(4, '0')}`), 0);
      const { recordChange } = recorder();
      await rewrapAll({ storage, ring, recordChange, clock: systemClock }, { to: 'env:NEW', by: 'test' });
      clearInterval(timer);
      await Promise.all(writes);
      writes = [];
      const only = createSealer((ring.held()[0] as { key: Uint8Array }).key);
      const rows = await storage.db.selectFrom('secrets').selectAll().orderBy('name').execute();
      for (const [index, { sealed }] of rows.entries())
        assert.equal(
          only.open(sealed, index >= last ? 'x' : `secret:${index}`).reveal(),
          index >= last ? 'changed' : `value ${index}`,
        );
      assert.ok(last < COUNT);
    },
  );

  onSqlite(
    'a value that is still under the old key when all is done keeps that key from being retired',
    async ({ open }) => {
      const storage = await open();
      await fill(storage);
      await storage.feed.start('a', async () => {});
      const sealed = createSealer(await ringOf(storage, 'env:OLD')).seal(new Secret('late'), 'x');
      const ring = await ringOf(storage, 'env:NEW', 'env:OLD');
      const [next, old] = ring.held();
      assert.ok(next && old);
      const late = { name: 'a-late-one', sealed, origins: '[]', updated_at: 1 };
      let written: Promise<unknown> | undefined;
      // In the last pass, behind where it reads: only what is looked at once more at the end can find it.
      let passes = 0;
      let before = 0;
      const onProgress = ({ looked }: { looked: number }) => {
        if (looked <= before || before === 0) passes++;
        before = looked;
        if (passes > 1) written ??= storage.db.insertInto('secrets').values(late).execute();
      };
      const { recordChange, changes } = recorder();
      const changing = rewrapAll(
        { storage, ring, recordChange, clock: systemClock },
        { to: next.id, by: 'test', onProgress },
      );
      await assert.rejects(changing, /secrets "a-late-one" is not sealed with/);
      assert.ok(written);
      const states = new Map((await ring.list()).map(({ id, state }) => [id, state]));
      assert.deepEqual([states.get(old.id), states.get(next.id)], ['retiring', 'current']);
      assert.ok(!changes.some(({ operation }) => operation === 'key-encryption.rewrap'));
      await rewrapAll({ storage, ring, recordChange, clock: systemClock }, { to: next.id, by: 'test' });
      const { sealed: anew } = await storage.db
        .selectFrom('secrets')
        .select('sealed')
        .where('name', '=', late.name)
        .executeTakeFirstOrThrow();
      assert.equal(createSealer(next.key).open(anew, 'x').reveal(), 'late');
    },
  );

  onEachBackend('of two changes at once the one that was overtaken retires no key', async ({ open }) => {
    const storage = await open();
    await fill(storage);
    await storage.feed.start('a', async () => {});
    const ring = await ringOf(storage, 'env:OLD', 'env:NEW', 'env:THIRD');
    const [, next, third] = ring.held();
    assert.ok(next && third);
    const { recordChange, changes } = recorder();
    let overtaken: Promise<unknown> | undefined;
    // What the other replica does first: from then on its key is current, and `next` still seals everything.
    const overtake = async () => {
      const states = storage.db.updateTable('key_encryption_keys');
      await states.set({ state: 'retiring' }).where('state', '=', 'current').execute();
      await states.set({ state: 'current' }).where('id', '=', third.id).execute();
    };
    const onProgress = ({ looked, of }: { looked: number; of: number }) => {
      if (looked >= of) overtaken ??= overtake();
    };
    const changing = rewrapAll(
      { storage, ring, recordChange, clock: systemClock },
      { to: next.id, by: 'test', onProgress },
    );
    await assert.rejects(changing, { code: 'key-encryption.raced' });
    await overtaken;
    const states = new Map((await ring.list()).map(({ id, state }) => [id, state]));
    assert.deepEqual([states.get(next.id), states.get(third.id)], ['retiring', 'current']);
    assert.ok(!changes.some(({ operation }) => operation === 'key-encryption.rewrap'));
  });

  /** @proves keys.sealed-columns */
  onEachBackend('every column of bytes is declared: sealed, or no secret', async ({ open }) => {
    const storage = await open();
    const { rows } =
      storage.dialect === 'sqlite'
        ? await sql<{ name: string }>`
            select m.name || '.' || c.name as name from sqlite_master m, pragma_table_info(m.name) c
            where m.type = 'table' and c.type = 'BLOB' collate nocase`.execute(storage.db)
        : await sql<{ name: string }>`
            select table_name || '.' || column_name as name from information_schema.columns
            where table_schema = current_schema() and data_type = 'bytea'`.execute(storage.db);
    const declared = [...sealedColumns.map(({ table, column }) => `${table}.${column}`), ...openBytes];
    assert.deepEqual(rows.map(({ name }) => name).sort(), declared.sort());
  });
}
