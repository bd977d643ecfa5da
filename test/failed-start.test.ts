import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import pg from 'pg';
import { createLog, startServer } from '../packages/server/src/main.ts';
import { freePort } from './support/free-port.ts';
import { startPostgres } from './support/postgres.ts';

const postgres = await startPostgres();
after(() => postgres?.close());

describe('a start that fails at its last step', () => {
  const start = async (database: string) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-failed-'));
    const taken = createServer().listen(await freePort(), '127.0.0.1');
    await once(taken, 'listening');
    const { port: takenPort } = taken.address() as { port: number };
    const port = await freePort();
    const config = {
      dataDir,
      database,
      host: '127.0.0.1',
      port,
      publicUrl: `http://localhost:${port}`,
      mutualTls: { port: takenPort, url: `https://localhost:${takenPort}` },
      trustDomain: 'example.test',
      replica: 'one',
    };
    const options = { log: createLog('error', () => undefined) };
    await assert.rejects(startServer(config, options), { code: 'EADDRINUSE' });
    await assert.rejects(fetch(config.publicUrl));
    taken.close();
    await once(taken, 'close');
    return {
      again: async () => (await startServer(config, options)).close(),
      clean: () => rmSync(dataDir, { recursive: true, force: true }),
    };
  };
  const held = () => process.getActiveResourcesInfo().filter((each) => /Worker|MessagePort/.test(each));

  test('leaves nothing open: neither port, nor thread, and the next start is like a first', async () => {
    const before = held();
    const { again, clean } = await start('sqlite');
    assert.deepEqual(held(), before);
    await again();
    clean();
  });

  test('leaves no connection to PostgreSQL', { skip: !postgres && 'PostgreSQL is missing' }, async () => {
    const database = await postgres?.createDatabase();
    if (!database) return;
    const { again, clean } = await start(database.url);
    const client = new pg.Client(database.url);
    await client.connect();
    const others = 'select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()';
    // A backend leaves the list a moment after its connection.
    for (let left = 50; left > 0 && (await client.query(others)).rowCount !== 0; left--)
      await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal((await client.query(others)).rowCount, 0);
    await client.end();
    await again();
    await database.drop();
    clean();
  });
});
