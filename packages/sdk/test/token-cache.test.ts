import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type CachedToken, createTokenCache } from '@gatehouse/sdk/token-cache';

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-cache-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, 'tokens');
}

const entry: CachedToken = {
  task: 'tsk_1',
  token: 'a.b.c',
  tokenType: 'DPoP',
  mcpUrl: 'http://localhost/mcp',
  refreshAt: Date.now() + 600_000,
  expiresAt: Date.now() + 900_000,
  skewSeconds: 0,
  checkedAt: 0,
};

describe('the cache of tokens', () => {
  /** @proves cache.private */
  it('keeps files and directory for this user only, and reads nothing that others could have read or put there', async (t) => {
    const directory = directoryOf(t);
    const cache = createTokenCache(directory);
    await cache.write('one', entry);
    await cache.proofKey('key', async () => '{}');
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    for (const name of readdirSync(directory)) assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
    assert.deepEqual(await cache.read('one'), entry);
    chmodSync(join(directory, 'one.json'), 0o640);
    await assert.rejects(cache.read('one'), /can be read by others.*rm /);
    rmSync(join(directory, 'one.json'));
    symlinkSync('/etc/passwd', join(directory, 'one.json'));
    await assert.rejects(cache.read('one'), /is a link/);
    chmodSync(directory, 0o755);
    await assert.rejects(createTokenCache(directory).read('two'), /is open to others.*chmod 700/);
  });

  it('is in no directory that a link leads to', async (t) => {
    const directory = directoryOf(t);
    mkdirSync(`${directory}-elsewhere`, { mode: 0o700 });
    symlinkSync(`${directory}-elsewhere`, directory);
    await assert.rejects(createTokenCache(directory).write('one', entry), /is no directory/);
    assert.deepEqual(readdirSync(`${directory}-elsewhere`), []);
  });

  it('takes no token, and no key for proofs, that another user has put there', {
    skip: process.getuid?.() !== 0 && 'only root can read such files',
  }, async (t) => {
    const directory = directoryOf(t);
    const cache = createTokenCache(directory);
    await cache.write('one', entry);
    await cache.proofKey('key', async () => '{}');
    for (const name of ['one.json', 'key.jwk']) chownSync(join(directory, name), 65_534, 65_534);
    await assert.rejects(cache.read('one'), { code: 'cache.unsafe' });
    await assert.rejects(
      cache.proofKey('key', async () => '{}'),
      { code: 'cache.unsafe' },
    );
    chownSync(directory, 65_534, 65_534);
    await assert.rejects(createTokenCache(directory).read('two'), /belongs to another user/);
  });

  it('takes what is damaged for nothing', async (t) => {
    const directory = directoryOf(t);
    const cache = createTokenCache(directory);
    await cache.write('one', entry);
    for (const text of ['', '{"task":"tsk', 'null', '{"task":1}', '"text"', 'x'.repeat(100_000)]) {
      writeFileSync(join(directory, 'one.json'), text, { mode: 0o600 });
      assert.equal(await cache.read('one'), undefined, text.slice(0, 20));
    }
  });

  it('makes a proof key once, however many processes ask for it', async (t) => {
    const directory = directoryOf(t);
    const made = await Promise.all(
      Array.from({ length: 20 }, (_, at) => createTokenCache(directory).proofKey('key', async () => `key ${at}`)),
    );
    assert.equal(new Set(made).size, 1);
  });

  /** @proves cache.crash */
  it('is usable after a process was killed in the middle of writing, with the lock in its hands', async (t) => {
    const directory = directoryOf(t);
    const script = `
      const { createTokenCache } = await import('@gatehouse/sdk/token-cache');
      const cache = createTokenCache(${JSON.stringify(directory)});
      await cache.alone('one', async () => {
        console.log('locked');
        for (;;) await cache.write('one', ${JSON.stringify(entry)});
      });`;
    for (let round = 0; round < 5; round++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        cwd: join(import.meta.dirname, '..'),
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 20));
      child.kill('SIGKILL');
      await once(child, 'exit');
      const cache = createTokenCache(directory);
      const read = await cache.alone('one', () => cache.read('one'));
      assert.ok(read === undefined || read.token === entry.token);
      await cache.write('one', entry);
      assert.deepEqual(await cache.read('one'), entry);
    }
  });

  it('waits for a lock that is held, and takes one whose process is gone or that nobody has touched', async (t) => {
    const directory = directoryOf(t);
    const cache = createTokenCache(directory);
    const order: string[] = [];
    await Promise.all(
      Array.from({ length: 10 }, (_, at) =>
        createTokenCache(directory).alone('one', async () => {
          order.push(`in ${at}`);
          await new Promise((resolve) => setTimeout(resolve, 5));
          order.push(`out ${at}`);
        }),
      ),
    );
    for (let at = 0; at < order.length; at += 2) assert.equal(order[at]?.slice(3), order[at + 1]?.slice(4));
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'one.lock'), `4194000 ${hostname()} 00`, { mode: 0o600 });
    assert.equal(await cache.alone('one', async () => 'done'), 'done');
    assert.deepEqual(
      readdirSync(directory).filter((name) => /lock|tmp/.test(name)),
      [],
    );
  });
});
