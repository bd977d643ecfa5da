import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type AgentTask, createAgent, createMcpTransport } from '@gatehouse/sdk';
import { backUp, type RestoreOptions, restore, Secret } from '@gatehouse/server/backup';
import { Client } from '@modelcontextprotocol/client';
import pg from 'pg';
import { manifests } from './support/fixtures.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from './support/postgres.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** Backups are tested by restoring them: on real servers, from copies that were made while calls went on. */

const PASSPHRASE = 'canary passphrase of a backup';
const silent = () => undefined;
const quiet = { debug: silent, info: silent, warn: silent, error: silent };
const refund = { order: 1042, amount_cents: 100, currency: 'EUR', reason: 'test' };

async function call(task: AgentTask, name: string, args: Record<string, unknown>) {
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  try {
    return await client.callTool({ name, arguments: args });
  } finally {
    await client.close();
  }
}

async function recordsOf(workspace: Workspace): Promise<string[]> {
  const all: string[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const query: Record<string, string> = { limit: '200', ...(cursor && { cursor }) };
    const page = await workspace.operator('GET /records', { query });
    for (const { log, sequence, leafHash } of page.items) all.push(`${log} ${sequence} ${leafHash}`);
    cursor = page.cursor;
  }
  return all;
}

/** A workspace with something of everything that gives access, backed up under load; then things happened, and it was lost. */
async function openScene(database: string) {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-backup-test-'));
  const dataDir = join(directory, 'lost');
  const workspace = await startWorkspace({ database, dataDir });
  await workspace.apply(manifests());
  const owner = await workspace.person('owner@example.test');
  const [a, b] = [await workspace.agent('agent-a'), await workspace.agent('agent-b')];
  const bearer = await workspace.agent('agent-bearer', { bearerOnly: true });
  await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: { reason: 'before it' } });
  const bound = await a.startTask({ template: 'all', intent: 'test' });
  const task = await bearer.startTask({ template: 'all', intent: 'test' });
  const waiting = (await call(task, 'shop__refund_order', refund))._meta?.['gatehouse/approval'] as { id: string };
  await owner.approve(waiting.id);
  const directoryToken = await workspace.operator('POST /scim/tokens', { body: { name: 'directory' } });

  let isOver = false;
  let calls = 0;
  const failures: unknown[] = [];
  const load = Array.from({ length: 3 }, async () => {
    const client = new Client({ name: 'load', version: '1' });
    await client.connect(createMcpTransport(bound));
    while (!isOver) {
      const answer = await client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } });
      if (answer.isError) failures.push(answer);
      calls++;
    }
    await client.close();
  });
  const until = async (goal: number) => {
    while (calls < goal) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await until(20);
  await workspace.operator('POST /backup');
  const file = join(directory, 'workspace.backup');
  const { digest, manifest } = await backUp({
    ...{ file, database, dataDir, version: '0', trustDomain: 'example.test', now: Date.now() },
    passphrase: new Secret(PASSPHRASE),
  });
  await until(calls + 20);
  isOver = true;
  await Promise.all(load);
  assert.deepEqual(failures, [], 'no call failed over the backup');

  await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-a' }, body: { reason: 'after it' } });
  await workspace.restart();
  const laterCheckpoint = (await workspace.operator('GET /logs')).items[0]?.checkpoint ?? '';
  const records = await recordsOf(workspace);
  const decided = await call(await bearer.startTask({ template: 'all', intent: 'test' }), 'shop__get_order', {
    order: 1042,
  });
  await workspace.close();
  return {
    ...{ directory, dataDir, file, digest, manifest, laterCheckpoint, records, decided, owner, directoryToken },
    ...{ bound, task, waiting, keys: { a: a.key, b: b.key, bearer: bearer.key } },
    url: workspace.url,
    port: Number(new URL(workspace.url).port),
    restoreTo: (name: string, options: Partial<RestoreOptions> = {}) =>
      restore({
        ...{ file, database: 'sqlite', dataDir: join(directory, name), keyEncryption: [], environment: {} },
        ...{ passphrase: new Secret(PASSPHRASE), by: 'operator', clock: { now: () => Date.now() }, log: quiet },
        ...options,
      }),
  };
}
type Scene = Awaited<ReturnType<typeof openScene>>;

/** What must hold of a restored workspace that runs where the lost one did. */
async function checkRestored(scene: Scene, workspace: Workspace): Promise<void> {
  const { manifest, task, bound, keys, url } = scene;
  const verify = (body: object) => workspace.operator('POST /logs/verify', { body });
  assert.deepEqual((await verify({})).problem, null);
  const recorded = manifest.logs.flatMap(({ checkpoint }) => checkpoint ?? []);
  assert.ok(recorded.length > 0);
  assert.equal((await verify({ checkpoints: recorded })).problem, null, 'up to the checkpoint of the backup');
  const rolledBack = await verify({ checkpoints: [scene.laterCheckpoint] });
  assert.match(rolledBack.problem ?? '', /truncated/, 'an auditor who has a later checkpoint sees the rollback');

  const lost = scene.records.filter((each) => each.startsWith(manifest.logs[0]?.id ?? '-'));
  const restored = await recordsOf(workspace);
  const old = restored.filter((each) => each.startsWith(`${manifest.logs[0]?.id} `));
  assert.equal(old.length, manifest.logs[0]?.size);
  for (const each of old) assert.ok(lost.includes(each), 'each record is the one that was');

  const { items: logs } = await workspace.operator('GET /logs');
  const opened = logs.filter(({ id }) => !manifest.logs.some((each) => each.id === id));
  assert.equal(opened.length, 2, 'that of the restore, and that of the replica');
  const { items: first } = await workspace.operator('GET /records', { query: { operation: 'workspace.restore' } });
  assert.equal(first[0]?.sequence, 0);
  const changes = first[0]?.record.changes?.join() ?? '';
  for (const { id } of manifest.logs) assert.match(changes, new RegExp(`log ${id} closed at \\d+ records, root `));
  assert.match(changes, new RegExp(scene.digest));

  const { items: agents } = await workspace.operator('GET /agents');
  assert.deepEqual(
    agents.map(({ name, state }) => [name, state]),
    [
      ['agent-a', 'suspended'],
      ['agent-b', 'suspended'],
      ['agent-bearer', 'suspended'],
    ],
  );
  const clientOf = (name: string, key: (typeof keys)['a']) => createAgent({ url, agent: name, key });
  for (const [name, key] of [
    ['agent-a', keys.a],
    ['agent-b', keys.b],
  ] as const)
    await assert.rejects(
      (await clientOf(name, key)).startTask({ template: 'all', intent: 'again' }),
      /suspended|killed/,
    );

  const status = { params: { name: 'agent-bearer' }, body: { state: 'active' } };
  await workspace.operator('POST /agents/:name/state', status);
  await workspace.operator('POST /agents/:name/state', { ...status, params: { name: 'agent-a' } });
  const mcp = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
  assert.equal((await task.fetch(`${url}/mcp`, mcp)).status, 401, 'a token of before');
  assert.equal((await bound.fetch(`${url}/mcp`, mcp)).status, 401, 'a bound token of before');
  assert.equal((await fetch(`${url}/api/v1/session`, { headers: { cookie: scene.owner.cookie } })).status, 401);
  const scim = { headers: { authorization: `Bearer ${scene.directoryToken.token}` } };
  assert.equal((await fetch(`${url}/scim/v2/Users`, scim)).status, 401, "the directory's token");

  const bearer = await createAgent({ url, agent: 'agent-bearer', key: keys.bearer, bearerOnly: true });
  await assert.rejects(bearer.resumeTask(task.id), 'a task of before');
  const anew = await bearer.startTask({ template: 'all', intent: 'test' });
  assert.deepEqual((await call(anew, 'shop__get_order', { order: 1042 })).isError, scene.decided.isError);
  const held = (await call(anew, 'shop__refund_order', refund))._meta?.['gatehouse/approval'] as { id: string };
  assert.ok(held.id && held.id !== scene.waiting.id, 'policies decide the same');
  const { state } = await workspace.operator('GET /approvals/:id', { params: { id: scene.waiting.id } });
  assert.equal(state, 'cancelled', 'a yes that may have been used since is not used again');
  assert.equal((await verify({})).problem, null);
}

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
    // pg_dump is of the version that the system has.
    server = await startPostgres({ version: '15' });
    if (server) scene = await openScene(await newDatabase());
  });
  after(async () => {
    if (scene) rmSync(scene.directory, { recursive: true, force: true });
    for (const each of databases) await each.drop();
    await server?.close();
  });

  /** @proves backup.restore */
  test('what is restored is what was, and nothing that was given out before acts in it', async (t) => {
    if (!scene) return t.skip('there is no PostgreSQL 15 on this machine');
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
    if (!scene) return t.skip('there is no PostgreSQL 15 on this machine');
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

  test('without pg_dump, or with one that is too old, the error says what to install', async (t) => {
    if (!scene) return t.skip('there is no PostgreSQL 15 on this machine');
    const options = {
      database: databases[0]?.url ?? '',
      dataDir: scene.dataDir,
      version: '0',
      trustDomain: null,
      now: 0,
    };
    const { PATH } = process.env;
    process.env.PATH = scene.directory;
    try {
      await assert.rejects(backUp({ ...options, file: join(scene.directory, 'none') }), {
        code: 'backup.no-postgres-tools',
        message: /postgresql-client/,
      });
    } finally {
      process.env.PATH = PATH;
    }
    assert.deepEqual(leftOver(scene), []);
  });
});
