import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cosignaturesIn, formatAddCheckpoint, openCheckpoint, parseVerifierKey } from '@gatehouse/verifier';
import { newSigner } from '../../verifier/test/support.ts';
import { type RunningWitness, startWitness, witnessVkey } from '../src/index.ts';
import { openWitnessState } from '../src/state.ts';
import { createLog } from './support.ts';

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-witness-'));
const log = createLog('log.example/one');
const busy = createLog('log.example/busy');
const forked = createLog('log.example/forked');
let witness: RunningWitness;
const start = () =>
  startWitness({
    directory,
    name: 'witness.example/w1',
    logs: [log, busy, forked].map(({ vkey }) => vkey),
    host: '127.0.0.1',
    port: 0,
  });

before(async () => {
  witness = await start();
});
after(async () => {
  await witness.close();
  rmSync(directory, { recursive: true, force: true });
});

async function add(body: string) {
  const response = await fetch(`${witness.url}/add-checkpoint`, { method: 'POST', body });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

/** @proves c2sp.witness */
test('what extends what it has cosigned is cosigned, after a restart too, and is read back with both signatures', async () => {
  log.grow(5);
  const first = await add(await log.request(0));
  assert.equal(first.status, 200);
  const key = parseVerifierKey(witness.vkey);
  const [line] = await cosignaturesIn(first.text, log.checkpoint(), key);
  assert.ok(Math.abs((line?.timeSeconds ?? 0) - Date.now() / 1_000) < 60);
  assert.equal((statSync(join(directory, 'witness.key')).mode & 0o777).toString(8), '600');

  const { vkey } = witness;
  await witness.close();
  witness = await start();
  assert.equal(witness.vkey, vkey);
  log.grow(300);
  assert.equal((await add(await log.request(5))).status, 200);
  // The same once more: a log that lost the answer asks again.
  assert.equal((await add(await log.request(300))).status, 200);

  const read = await fetch(`${witness.url}/${hash('sha256', 'log.example/one')}/checkpoint`);
  const opened = await openCheckpoint(await read.text(), log.signer.key, 'log.example/one', [key]);
  assert.deepEqual([opened.size, opened.witnessedBy], [300, ['witness.example/w1']]);
  assert.equal((await fetch(`${witness.url}/${hash('sha256', 'log.example/busy')}/checkpoint`)).status, 404);
});

/** @proves c2sp.witness */
test('each wrong request gets the answer that the specification has for it, and changes nothing', async () => {
  const cases: [string, string, number][] = [
    ['nothing', '', 400],
    ['no old size', `\n${log.checkpoint()}`, 400],
    ['a size with a leading zero', (await log.request(300)).replace('old 300', 'old 0300'), 400],
    ['a hash that is none', `old 300\nAAAA\n\n${log.checkpoint()}`, 400],
    ['too many hashes', `old 1\n${`${'A'.repeat(43)}=\n`.repeat(64)}\n${log.checkpoint()}`, 400],
    ['an unknown log', await unknownLog(), 404],
    ['another key', await byAnotherKey(), 403],
    ['a bad signature', (await log.request(300)).replace('\n300\n', '\n301\n').replace('old 301', 'old 300'), 403],
    ['an old size beyond the checkpoint', (await log.request(300)).replace('old 300', 'old 400'), 400],
    ['a proof from nothing', `old 0\n${'A'.repeat(43)}=\n\n${busy.checkpoint()}`, 422],
    [
      'an empty tree that is not',
      formatAddCheckpoint({ oldSize: 0, proof: [], checkpoint: busy.checkpoint(new Uint8Array(32), 0) }),
      422,
    ],
  ];
  for (const [name, body, status] of cases) assert.equal((await add(body)).status, status, name);

  const conflict = await add(await log.request(5));
  assert.deepEqual([conflict.status, conflict.type, conflict.text], [409, 'text/x.tlog.size', '300\n']);
  log.grow(320);
  const proof = await log.proof(300);
  const wrong = [proof.slice(1), [...proof, new Uint8Array(32)], proof.map((each) => each.map((byte) => byte ^ 1)), []];
  for (const each of wrong)
    assert.equal(
      (await add(formatAddCheckpoint({ oldSize: 300, proof: each, checkpoint: log.checkpoint() }))).status,
      422,
    );
  assert.equal((await add(await log.request(300))).status, 200);
  assert.equal((await add('x'.repeat(70_000))).status, 413);
  assert.equal((await fetch(`${witness.url}/add-checkpoint`)).status, 405);
});

/** @proves c2sp.witness, law-7.witness */
test('a fork and a rollback are not cosigned, whatever the log signs', async () => {
  forked.grow(40);
  assert.equal((await add(await forked.request(0))).status, 200);
  forked.cut(30);
  // A rollback: what it has cosigned is larger.
  const back = await add(await forked.request(30));
  assert.deepEqual([back.status, back.text], [409, '40\n']);
  // A fork: the same size, and larger, from another past.
  forked.grow(40, 'told otherwise');
  assert.equal((await add(await forked.request(40))).status, 422);
  forked.grow(50, 'told otherwise');
  assert.equal((await add(await forked.request(40))).status, 422);
});

/** @proves c2sp.witness */
test('of many that ask at once one goes first; nobody takes it back, also not by the file itself', async () => {
  busy.grow(10);
  const same = await busy.request(0);
  const answers = await Promise.all(Array.from({ length: 20 }, () => add(same)));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  assert.ok(answers.every(({ status, text }) => status === 200 || (status === 409 && text === '10\n')));
  const other = openWitnessState(join(directory, 'witness.db'));
  const next = { size: 11, root: new Uint8Array(32), note: '' };
  assert.equal(other.advance('log.example/busy', 9, next), false);
  other.close();
});

/** @proves law-7.witness */
test('killed at any moment, it never cosigns two pasts', async () => {
  const own = mkdtempSync(join(tmpdir(), 'gatehouse-witness-kill-'));
  const signer = newSigner('log.example/kill');
  const honest = createLog('log.example/kill', signer);
  const liar = createLog('log.example/kill', signer);
  const run = async (): Promise<{ child: ChildProcess; ended: Promise<unknown>; url: string }> => {
    const main = join(import.meta.dirname, '../src/main.ts');
    const args = ['--disable-warning=ExperimentalWarning', main, 'serve', '--port', '0'];
    const child = spawn(process.execPath, [...args, '--directory', own, '--name', 'w.example', '--log', signer.vkey]);
    const ended = once(child, 'exit');
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    return { child, ended, url: (JSON.parse(said.toString()) as { url: string }).url };
  };
  let size = 0;
  for (let round = 0; round < 4; round++) {
    const { child, ended, url } = await run();
    const post = (body: string) =>
      fetch(`${url}/add-checkpoint`, { method: 'POST', body }).then(
        async (response) => ({ status: response.status, text: await response.text() }),
        () => undefined,
      );
    honest.grow(size + 7);
    const killed = setTimeout(() => child.kill('SIGKILL'), round);
    // Whether the answer came or was lost with the process between writing and answering:
    const answered = await post(await honest.request(size));
    clearTimeout(killed);
    child.kill('SIGKILL');
    await ended;
    const again = await run();
    const repost = (body: string) =>
      fetch(`${again.url}/add-checkpoint`, { method: 'POST', body }).then(async (r) => ({
        status: r.status,
        text: await r.text(),
      }));
    const next = await repost(await honest.request(size));
    if (answered?.status === 200) assert.deepEqual([next.status, next.text], [409, `${size + 7}\n`]);
    else assert.ok(next.status === 200 || next.text === `${size + 7}\n`);
    size += 7;
    // Another past of that size is refused now.
    liar.cut(0);
    liar.grow(size, `otherwise ${round}`);
    assert.equal((await repost(await liar.request(size))).status, 422);
    again.child.kill('SIGKILL');
    await again.ended;
  }
  rmSync(own, { recursive: true, force: true });
});

async function unknownLog(): Promise<string> {
  const other = createLog('log.example/unknown');
  other.grow(3);
  return other.request(0);
}

async function byAnotherKey(): Promise<string> {
  const other = createLog('log.example/one');
  other.grow(3);
  return other.request(0);
}

/** @proves law-7.witness */
test('a witness that has its key and not what it cosigned does not serve', async (t) => {
  const lost = mkdtempSync(join(tmpdir(), 'gatehouse-witness-'));
  t.after(() => rmSync(lost, { recursive: true, force: true }));
  const serve = () =>
    startWitness({ directory: lost, name: 'witness.example/w2', logs: [log.vkey], host: '127.0.0.1', port: 0 });
  const vkey = witnessVkey(lost, 'witness.example/w2');
  const served = await serve();
  assert.equal(served.vkey, vkey, 'printing the key first makes both');
  await served.close();
  rmSync(join(lost, 'witness.db'));
  await assert.rejects(serve(), /second past/);
  assert.throws(() => witnessVkey(lost, 'witness.example/w2'), /second past/, 'and looking at the key makes no memory');
  openWitnessState(join(lost, 'witness.db')).close();
  await assert.rejects(serve(), /second past/, 'an empty database');
  witnessVkey(join(lost, 'other'), 'witness.example/w3');
  copyFileSync(join(lost, 'other', 'witness.db'), join(lost, 'witness.db'));
  await assert.rejects(serve(), /second past/, 'what another has cosigned');
});
