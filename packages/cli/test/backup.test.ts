import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Api } from '@gatehouse/protocol';
import { createCli, ended, scratch } from './support.ts';

/** Keys, backup and restore by the command line alone, with secrets that must show up nowhere. */

const KEY = Buffer.from('canary-key-of-thirty-two-bytes-!');
const OTHER = Buffer.from('canary-other-key-of-32-bytes-!!!');
const PASSPHRASE = 'canary passphrase for the keys';
/** As text in each form that a key is written in. */
const forms = (key: Buffer) => [key.toString(), key.toString('base64'), key.toString('base64url'), key.toString('hex')];
const canaries = [...forms(KEY), ...forms(OTHER), PASSPHRASE].map((text) => text.replace(/=+$/, ''));

/** Every command line of this host, and the environments of what this process has started, but those that were given the key. */
function lookAround(...given: (number | undefined)[]): void {
  for (const path of globSync('/proc/[0-9]*/cmdline')) {
    const line = readOrNothing(path);
    for (const canary of canaries) assert.ok(!line.includes(canary), `a command line holds a secret: ${path}`);
  }
  for (const path of globSync('/proc/[0-9]*/environ')) {
    if (given.some((pid) => path === `/proc/${pid}/environ`)) continue;
    const environment = readOrNothing(path);
    for (const canary of canaries) assert.ok(!environment.includes(canary), `an environment holds a secret: ${path}`);
  }
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // Ended meanwhile, or of another user.
    return '';
  }
}

async function startServer(t: TestContext, cli: ReturnType<typeof createCli>, args: string[]) {
  const child = cli.start(['start', '--port', '0', '--no-mtls-port', '--log-level', 'debug', '--json', ...args]);
  const over = ended(child);
  child.stdout?.setEncoding('utf8');
  const [line] = (await Promise.race([
    once(child.stdout as NodeJS.ReadableStream, 'data'),
    over.then(({ stderr }) => assert.fail(stderr)),
  ])) as [string];
  const stop = async () => {
    child.kill('SIGTERM');
    return over;
  };
  t.after(stop);
  return { url: (JSON.parse(line) as { publicUrl: string }).publicUrl, pid: child.pid, stop };
}

/** @proves backup.no-secrets */
test('keys, backup and restore on the command line; no key and no passphrase is ever shown', async (t) => {
  const directory = scratch(t);
  const environment = { CANARY_KEY: KEY.toString('base64'), CANARY_OTHER: OTHER.toString('hex') };
  const dataDir = join(directory, 'data');
  const cli = createCli(directory, { ...environment, GATEHOUSE_DATA_DIR: dataDir });
  const said: string[] = [];
  const sources = ['--key-encryption', 'env:CANARY_KEY', 'env:CANARY_OTHER'];
  const server = await startServer(t, cli, sources);
  lookAround(server.pid);
  const run = async (...args: string[]) => {
    const result = await cli.run(...args, '--url', server.url);
    said.push(result.stdout, result.stderr);
    return result;
  };

  const before = (await run('keys', '--json')).json<Api['GET /keys']>();
  const tokens = before.purposes.find(({ purpose }) => purpose === 'access-token');
  assert.deepEqual(before.encryption.map(({ source, state }) => [source, state]).sort(), [
    ['env:CANARY_KEY', 'current'],
    ['env:CANARY_OTHER', 'held'],
  ]);
  const rotated = (await run('keys', 'rotate', 'access-token', '--json')).json<{ kid: string; signsFrom: number }>();
  assert.ok(rotated.signsFrom > Date.now());
  const destroyed = await run('keys', 'rotate', 'access-token', '--compromised', '--json');
  const now = (await run('keys', '--json')).json<Api['GET /keys']>();
  assert.deepEqual(
    now.purposes.find(({ purpose }) => purpose === 'access-token')?.keys.map(({ kid }) => kid),
    [destroyed.json<{ kid: string }>().kid],
  );
  assert.ok(!JSON.stringify(now.purposes).includes(tokens?.keys[0]?.kid ?? '-'));
  assert.equal((await run('keys', 'rotate', 'log')).code, 1);
  assert.match((await run('keys', 'rotate', 'none')).stderr, /Rotate one of: access-token/);
  assert.equal(
    (await run('keys', 'rewrap', '--to', 'env:CANARY_OTHER', '--json')).json<{ state: string }>().state,
    'done',
  );
  assert.match((await run('keys')).stdout, /env:CANARY_OTHER +current/);

  const file = join(directory, 'gatehouse.backup');
  assert.equal((await run('backup', file, '--with-keys')).code, 64, 'a passphrase is needed');
  const made = (await run('backup', file, '--json')).json<{
    digest: string;
    manifest: { logs: { checkpoint: string }[] };
  }>();
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const again = await run('backup', file);
  assert.match(again.stderr, /is there already/);
  const records = (await run('log', 'search', '--operation', 'workspace.backup', '--json')).stdout;
  assert.match(records, /workspace\.backup/);

  const logs = await server.stop();
  said.push(logs.stdout, logs.stderr);
  const unreached = await run('backup', join(directory, 'other.backup'));
  assert.equal(unreached.code, 69);
  assert.match(unreached.stderr, /--offline/);
  // A key in a file, and one passphrase over a pipe.
  writeFileSync(join(dataDir, 'keys', 'key-encryption.key'), OTHER.toString('base64'), { mode: 0o600 });
  const sealed = join(directory, 'sealed.backup');
  const piped = async (...args: string[]) => {
    const child = cli.start(args);
    child.stdin?.write(`${PASSPHRASE}\n`);
    lookAround(child.pid);
    const result = await ended(child);
    said.push(result.stdout, result.stderr);
    return result;
  };
  const offline = await piped('backup', sealed, '--offline', '--with-keys', '--passphrase-file', '-');
  assert.equal(offline.code, 0, offline.stderr);

  const target = join(directory, 'restored');
  const runAlone = async (...args: string[]) => {
    const result = await cli.run(...args);
    said.push(result.stdout, result.stderr);
    return result;
  };
  const wrong = await runAlone('restore', file, '--data-dir', target, '--key-encryption', 'env:CANARY_KEY');
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /sealed with the key-encryption key [0-9a-f]{16}/);
  assert.equal((await runAlone('restore', file)).code, 64, 'where to is said, not guessed');
  assert.ok(!existsSync(target));
  const restored = await piped('restore', sealed, '--data-dir', target, '--passphrase-file', '-', '--json');
  assert.equal(restored.code, 0, restored.stderr);
  assert.ok(restored.json<{ agents: number; suspended: number }>().suspended > 0);

  const reborn = createCli(directory, { GATEHOUSE_DATA_DIR: target });
  const second = await startServer(t, reborn, ['--no-workspace']);
  lookAround();
  const checkpoint = join(directory, 'checkpoint');
  writeFileSync(checkpoint, made.manifest.logs[0]?.checkpoint ?? '');
  const verified = await reborn.run('log', 'verify', '--checkpoint', checkpoint, '--url', second.url);
  assert.equal(verified.code, 0, verified.stdout);
  writeFileSync(checkpoint, (made.manifest.logs[0]?.checkpoint ?? '').replace('/log/', '/log/gone-'));
  const missing = await reborn.run('log', 'verify', '--checkpoint', checkpoint, '--url', second.url);
  assert.equal(missing.code, 1);
  assert.match(missing.stdout, /missing/);
  const end = await second.stop();
  said.push(end.stdout, end.stderr);

  const all = said.join('\n');
  assert.ok(all.length > 1_000);
  for (const canary of canaries) assert.ok(!all.includes(canary), 'something that was printed holds a secret');
});
