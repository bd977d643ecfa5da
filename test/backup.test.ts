import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { backUp, Secret } from '@gatehouse/server/backup';
import pg from 'pg';
import { checkRestored, openScene, PASSPHRASE, type Scene } from './support/backup-scene.ts';
import { hasPrograms } from './support/debian.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from './support/postgres.ts';
import { startWorkspace } from './support/workspace.ts';

/** Backups are tested by restoring them: on real servers, from copies that were made while calls went on. */

describe('an embedded database', () => {
  let scene: Scene;
  before(async () => {
    scene = await openScene('sqlite');
  });
  after(() => rmSync(scene.directory, { recursive: true, force: true }));

  /** @proves backup.restore */
  test('what is restored is what was, and nothing that was given out before acts in it', async () => {
    const restored = await scene.restoreTo('restored', { digest: scene.digest });
    assert.deepEqual([restored.agents, restored.suspended], [3, 2]);
    const dataDir = join(scene.directory, 'restored');
    assert.equal(statSync(dataDir).mode & 0o077, 0);
    assert.equal(statSync(join(dataDir, 'gatehouse.db')).mode & 0o077, 0);
    const workspace = await startWorkspace({ dataDir, port: scene.port });
    try {
      await checkRestored(scene, workspace);
    } finally {
      await workspace.close();
    }
  });

  test('agents that were active stay so only for a reason, which is recorded; a killed one stays dead', async () => {
    const restored = await scene.restoreTo('activated', { activate: 'the kills since are known and done' });
    assert.equal(restored.suspended, 0);
    const workspace = await startWorkspace({ dataDir: join(scene.directory, 'activated'), port: scene.port });
    try {
      const { items } = await workspace.operator('GET /agents');
      const states = Object.fromEntries(items.map((each) => [each.name, each.state]));
      assert.deepEqual((await workspace.operator('GET /workloads')).items[0]?.state, 'active');
      assert.deepEqual(states, { 'agent-a': 'active', 'agent-b': 'suspended', 'agent-bearer': 'active' });
      assert.ok(items.find(({ name }) => name === 'agent-b')?.killedAt);
      const mcp = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
      assert.equal(
        (await scene.task.fetch(`${scene.url}/mcp`, mcp)).status,
        401,
        'a token of before is no better for it',
      );
      const { items: records } = await workspace.operator('GET /records', {
        query: { operation: 'workspace.restore' },
      });
      assert.equal(records[0]?.record.detail, 'the kills since are known and done');
    } finally {
      await workspace.close();
    }
  });

  /** @proves backup.refused */
  test('a byte changed anywhere, a cut and something appended are refused, and nothing is written', async () => {
    const whole = readFileSync(scene.file);
    const bad = join(scene.directory, 'bad.backup');
    const headers = whole.indexOf(10) + 1;
    const places = [0, 18, 25, 60, headers + 5, headers + 200, whole.length >> 1, whole.length - 700, whole.length - 1];
    const variants: [string, Buffer][] = [
      ...places.map((at): [string, Buffer] => {
        const copy = Buffer.from(whole);
        copy[at] = (copy[at] as number) ^ 1;
        return [`byte ${at}`, copy];
      }),
      ['cut by one', whole.subarray(0, -1)],
      ['cut in half', whole.subarray(0, whole.length >> 1)],
      ['cut in the first line', whole.subarray(0, 40)],
      ['empty', Buffer.alloc(0)],
      ['appended', Buffer.concat([whole, Buffer.of(0)])],
    ];
    for (const [what, bytes] of variants) {
      writeFileSync(bad, bytes);
      await assert.rejects(scene.restoreTo('none', { file: bad }), { code: 'backup.damaged' }, what);
    }
    writeFileSync(bad, Buffer.concat([Buffer.from('gatehouse-backup 2'), whole.subarray(18)]));
    await assert.rejects(scene.restoreTo('none', { file: bad }), { code: 'backup.format' });
    await assert.rejects(scene.restoreTo('none', { digest: '0'.repeat(64) }), { code: 'backup.other-digest' });
    assert.deepEqual(leftOver(scene), []);
  });

  /** @proves backup.refused */
  test('without the right key or passphrase, or onto something, nothing is written', async () => {
    const wrong = join(scene.directory, 'wrong.key');
    writeFileSync(wrong, Buffer.alloc(32, 7).toString('base64'), { mode: 0o600 });
    const without = { passphrase: undefined };
    await assert.rejects(
      scene.restoreTo('none', { ...without, keyEncryption: [`file:${wrong}`] }),
      (error: Error & { code: string }) =>
        error.code === 'key-encryption.missing' && error.message.includes(scene.manifest.keyEncryption[0]?.id ?? '-'),
    );
    await assert.rejects(scene.restoreTo('none', without), { code: 'key-encryption.missing' });
    await assert.rejects(scene.restoreTo('none', { passphrase: new Secret('not the passphrase') }), {
      code: 'backup.passphrase',
    });
    await assert.rejects(scene.restoreTo('lost'), { code: 'backup.target' });
    await assert.rejects(scene.restoreTo('none', { database: 'postgres://nobody@127.0.0.1:1/none' }), {
      code: 'backup.dialect',
    });
    assert.deepEqual(leftOver(scene), []);

    const copy = join(scene.directory, 'right.key');
    copyFileSync(join(scene.dataDir, 'keys', 'key-encryption.key'), copy);
    const { keyFiles } = await scene.restoreTo('elsewhere', { ...without, keyEncryption: [`file:${copy}`] });
    assert.deepEqual(keyFiles, []);
    assert.ok(
      !existsSync(join(scene.directory, 'elsewhere', 'keys', 'key-encryption.key')),
      'the key stays where it is',
    );
  });

  test('a log that is not what was signed is not restored, whatever the digests of the file say', async () => {
    const { DatabaseSync } = await import('node:sqlite');
    const forged = join(scene.directory, 'forged');
    await scene.restoreTo('forged');
    const database = new DatabaseSync(join(forged, 'gatehouse.db'));
    database.exec(
      "update records set entry = replace(entry, 'agent.kill', 'agent.kiss') where operation = 'agent.kill'",
    );
    database.close();
    const file = join(scene.directory, 'forged.backup');
    await backUp({
      ...{ file, database: 'sqlite', dataDir: forged, version: '0', trustDomain: null, now: 0 },
      passphrase: new Secret(PASSPHRASE),
    });
    await assert.rejects(scene.restoreTo('none', { file }), { code: 'backup.log-broken' });
    assert.deepEqual(leftOver(scene), []);
  });

  test('the backup is for its user only, never over a file, and its keys are under the passphrase', async () => {
    assert.equal(statSync(scene.file).mode & 0o777, 0o600);
    const options = {
      file: scene.file,
      database: 'sqlite',
      dataDir: scene.dataDir,
      version: '0',
      trustDomain: null,
      now: 0,
    };
    await assert.rejects(backUp(options), { code: 'backup.exists' });
    const file = join(scene.directory, 'other.backup');
    await assert.rejects(backUp({ ...options, file, passphrase: new Secret('short') }), {
      code: 'backup.passphrase-short',
    });
    await assert.rejects(backUp({ ...options, file, dataDir: scene.directory }), { code: 'backup.no-database' });
    const bytes = readFileSync(scene.file).toString('latin1');
    const key = readFileSync(join(scene.dataDir, 'keys', 'key-encryption.key'), 'utf8').trim();
    const operator = readFileSync(join(scene.dataDir, 'keys', 'operator.token'), 'utf8').trim();
    for (const secret of [key, operator, PASSPHRASE]) assert.ok(!bytes.includes(secret));
    assert.deepEqual(
      readdirSync(scene.directory).filter((name) => name.startsWith('.')),
      [],
    );
  });
});

/** Directories that a refused restore left behind. */
const leftOver = ({ directory }: Scene) =>
  readdirSync(directory).filter((name) => name === 'none' || name.startsWith('.'));

describe('PostgreSQL', () => {
  let server: TestPostgres | undefined;
  let scene: Scene | undefined;
  const databases: TestDatabase[] = [];
  const newDatabase = async () => {
    const made = await (server as TestPostgres).createDatabase();
    databases.push(made);
    return made.url;
  };
  const tablesOf = async (url: string) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query("select tablename from pg_tables where schemaname = 'public'");
    await client.end();
    return rows.length;
  };
  before(async () => {
    const major = clientMajor();
    server = major === undefined ? undefined : await startPostgres({ version: major < 18 ? `${major}` : 'any' });
    if (server) scene = await openScene(await newDatabase());
  });
  after(async () => {
    if (scene) rmSync(scene.directory, { recursive: true, force: true });
    for (const each of databases) await each.drop();
    await server?.close();
  });

  /** @proves backup.restore */
  test('what is restored is what was, and nothing that was given out before acts in it', async (t) => {
    if (!scene) return t.skip('there is no pg_dump, or no server for it');
    const url = await newDatabase();
    await scene.restoreTo('postgres', { database: url });
    const workspace = await startWorkspace({
      ...{ dataDir: join(scene.directory, 'postgres'), database: url, port: scene.port },
    });
    try {
      await checkRestored(scene, workspace);
    } finally {
      await workspace.close();
    }
  });

  /** @proves backup.refused */
  test('a wrong key, a full database and one in the middle of a restore are refused, and nothing is written', async (t) => {
    if (!scene) return t.skip('there is no pg_dump, or no server for it');
    const url = await newDatabase();
    const options = { database: url, dataDir: undefined, passphrase: undefined };
    await assert.rejects(scene.restoreTo('none', options), { code: 'key-encryption.missing' });
    assert.equal(await tablesOf(url), 0);
    const key = `file:${join(scene.dataDir, 'keys', 'key-encryption.key')}`;
    const full = { ...options, database: databases[0]?.url ?? '', keyEncryption: [key] };
    await assert.rejects(scene.restoreTo('none', full), { code: 'backup.target' });

    await assert.rejects(
      scene.restoreTo('none', {
        ...{ ...options, keyEncryption: [key] },
        onProgress(what) {
          if (what.startsWith('ending')) throw new Error('cut off');
        },
      }),
      /cut off/,
    );
    assert.equal(await tablesOf(url), 0, 'what was loaded is gone');

    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query('create table gatehouse_restore_unfinished (since timestamptz)');
    await client.end();
    await assert.rejects(startWorkspace({ database: url, dataDir: join(scene.directory, 'unfinished') }), {
      code: 'storage.restore-unfinished',
    });
  });

  /** @proves backup.tools */
  test('without pg_dump, or with one that is older than the server, the error says which and what to install', async (t) => {
    if (!scene) return t.skip('there is no pg_dump, or no server for it');
    const options = { dataDir: scene.dataDir, version: '0', trustDomain: null, now: 0 };
    const file = join(scene.directory, 'none');
    const { PATH } = process.env;
    process.env.PATH = scene.directory;
    try {
      await assert.rejects(backUp({ ...options, file, database: databases[0]?.url ?? '' }), {
        code: 'backup.no-postgres-tools',
        message: /postgresql-client/,
      });
    } finally {
      process.env.PATH = PATH;
    }
    assert.deepEqual(leftOver(scene), []);

    if ((clientMajor() ?? 0) >= 18) return t.skip('pg_dump here is as new as the newest server here');
    const newer = (await startPostgres({ version: '18' })) as TestPostgres;
    const database = await newer.createDatabase();
    try {
      await (await startWorkspace({ database: database.url, dataDir: join(scene.directory, 'newer') })).close();
      await assert.rejects(backUp({ ...options, file, database: database.url }), {
        code: 'backup.postgres-tools-too-old',
        message:
          /^pg_dump on the PATH is of version 1\d\.\d+, and the server of 18\.\d+, .*a newer one first on the PATH/,
      });
    } finally {
      await database.drop();
      await newer.close();
    }
    assert.deepEqual(leftOver(scene), []);
  });
});

/** Major version of the pg_dump on the PATH. Undefined where there is none (in CI: throws). */
function clientMajor(): number | undefined {
  if (!hasPrograms(['pg_dump', 'pg_restore'], ['postgresql'])) return undefined;
  return Number(/(\d+)/.exec(execFileSync('pg_dump', ['--version'], { encoding: 'utf8' }))?.[1]);
}
