import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { prepareSocket } from './socket.ts';

/** Whoever opens the socket is the agent. */
test('a socket is served only in a directory of this user alone, at a path where nothing else is', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-socket-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));

  const fresh = join(directory, 'new', 's');
  await prepareSocket(fresh);
  assert.equal(statSync(join(directory, 'new')).mode & 0o777, 0o700, 'one that it makes is of this user alone');

  const shared = join(directory, 'shared');
  mkdirSync(shared);
  for (const mode of [0o750, 0o701, 0o770, 0o777]) {
    chmodSync(shared, mode);
    await assert.rejects(prepareSocket(join(shared, 's')), { code: 'socket.directory' }, mode.toString(8));
  }
  // A link to a directory that is fine now could lead elsewhere later.
  symlinkSync(join(directory, 'new'), join(directory, 'link'));
  await assert.rejects(prepareSocket(join(directory, 'link', 's')), { code: 'socket.directory' });
  if (process.getuid?.() !== 0) await assert.rejects(prepareSocket('/usr/s'), { code: 'socket.directory' });

  await assert.rejects(prepareSocket(join(directory, 'x'.repeat(104))), { code: 'socket.path' });

  const file = join(directory, 'file');
  writeFileSync(file, 'somebody’s');
  await assert.rejects(prepareSocket(file), { code: 'socket.occupied', message: /is no socket/ });
  assert.ok(existsSync(file));

  const served = join(directory, 'served');
  const server = createServer().listen(served);
  await once(server, 'listening');
  await assert.rejects(prepareSocket(served), { code: 'socket.occupied', message: /Another process/ });
  assert.ok(existsSync(served), 'and what another serves is left to it');
  server.close();
});
