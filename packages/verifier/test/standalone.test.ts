/** What stands alone: the one-file verifier in Node, and the page from a file, without any server. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { buildStandalone } from '../../../scripts/standalone.ts';
import { launchChromium } from '../../../test/support/chromium.ts';
import { SIGNATURE_TYPE } from '../src/index.ts';
import { type Files, noteOf, publish } from './published-log.ts';
import { newSigner, proofFileOf } from './support.ts';

const scratch = mkdtempSync(join(tmpdir(), 'gatehouse-standalone-'));
const log = newSigner('log.example/one');
const records = Array.from({ length: 300 }, (_, at) =>
  Buffer.from(JSON.stringify({ action_id: `act_${at}`, kind: 'outcome', time: '2026-01-01T00:00:00.000Z' })),
);
const files = publish(records, log);
const browser = await launchChromium();
let program = '';
let page = '';

function write(directory: string, all: Files): string {
  for (const [path, bytes] of all) {
    mkdirSync(dirname(join(scratch, directory, path)), { recursive: true });
    writeFileSync(join(scratch, directory, path), bytes);
  }
  return join(scratch, directory);
}

const receipt = async (entry: string) =>
  JSON.stringify({
    format: 'gatehouse-receipt/1',
    action: 'act_7',
    receipts: [
      { log: log.key.name, sequence: 7, entry, proof: await proofFileOf(records, 7, noteOf(files)), vkey: log.vkey },
    ],
  });

before(async () => {
  [program = '', page = ''] = await buildStandalone(scratch);
  const entry = records[7]?.toString() ?? '';
  writeFileSync(join(scratch, 'good.json'), await receipt(entry));
  writeFileSync(join(scratch, 'forged.json'), await receipt(entry.replace('2026', '2025')));
  const edited = new Map(files);
  const bundle = Buffer.from(edited.get('tile/entries/000') ?? []);
  write('honest', files);
  write(
    'edited',
    edited.set('tile/entries/000', Buffer.from(bundle.toString('latin1').replace('act_9', 'act_8'), 'latin1')),
  );
});
after(async () => {
  await browser?.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** @proves law-7.one-file */
describe('the verifier in one file', () => {
  const run = (...args: string[]) =>
    new Promise<{ code: number; stdout: string }>((resolve) => {
      execFile(process.execPath, [program, ...args], { cwd: scratch }, (error, stdout) =>
        resolve({ code: error ? Number(error.code) : 0, stdout }),
      );
    });

  it('proves nothing where it was asked wrongly, and misses a log that is gone', async () => {
    for (const wrong of ['abc', '-1', '1.5', '', '9007199254740993'])
      assert.equal((await run('--key', log.vkey, 'honest', '--from', wrong)).code, 64, wrong);
    assert.equal((await run('--key', log.vkey, 'honest', '--quorum', '2')).code, 64, 'of nobody');
    const witness = newSigner('witness.example/w1', SIGNATURE_TYPE.cosignature).vkey;
    assert.equal(
      (await run('--key', log.vkey, 'honest', '--witness', witness, '--quorum', '0')).code,
      64,
      'nobody needed',
    );
    writeFileSync(join(scratch, 'kept.checkpoint'), noteOf(files));
    assert.equal((await run('--key', log.vkey, 'honest', '--checkpoint', 'kept.checkpoint')).code, 0);
    writeFileSync(join(scratch, 'gone.checkpoint'), noteOf(publish(records, newSigner('log.example/gone'))));
    const kept = await run('--key', log.vkey, 'honest', '--checkpoint', 'gone.checkpoint');
    assert.deepEqual([kept.code, /log-missing: .*log\.example\/gone/.test(kept.stdout)], [1, true]);
    const two = newSigner('log.example/two');
    const naming = (name: string, size: number) => {
      const changes = [`log ${name}, key ${name === two.key.name ? two.vkey : log.vkey}, ${size} records`];
      return Buffer.from(JSON.stringify({ kind: 'change', operation: 'log.open', changes }));
    };
    write('names-one', publish([naming(log.key.name, 300)], two));
    write('names-more', publish([naming(log.key.name, 301)], two));
    write('names-gone', publish([naming('log.example/gone', 1)], two));
    const both = (directory: string) => run('--key', log.vkey, '--key', two.vkey, 'honest', directory);
    assert.equal((await both('names-one')).code, 0);
    for (const directory of ['names-more', 'names-gone']) {
      const { code, stdout } = await both(directory);
      assert.deepEqual([code, /log-missing/.test(stdout)], [1, true], directory);
    }
  });

  it('has no dependency', () => {
    const text = readFileSync(program, 'utf8');
    assert.deepEqual([...text.matchAll(/^import .*/gm)], []);
    assert.deepEqual(
      new Set([...text.matchAll(/import\("([^"]+)"\)/g)].map(([, name]) => name?.slice(0, 5))),
      new Set(['node:']),
    );
  });

  it('checks receipts and directories, whole and in part, and says what is wrong', async () => {
    assert.equal((await run('--key', log.vkey, 'good.json', 'honest')).code, 0);
    assert.equal((await run('--key', log.vkey, '--from', '100', '--to', '290', 'honest')).code, 0);
    const forged = await run('--key', log.vkey, 'forged.json');
    assert.deepEqual([forged.code, /NOT PROVEN/.test(forged.stdout)], [1, true]);
    const edited = await run('--key', log.vkey, 'edited');
    assert.deepEqual([edited.code, /edited: record 9 /.test(edited.stdout)], [1, true]);
    const other = newSigner('log.example/one').vkey;
    assert.equal((await run('--key', other, 'good.json')).code, 1);
    assert.equal((await run('honest')).code, 64);
    assert.equal((await run()).code, 64);
  });
});

/** @proves law-7.one-file */
it('the page verifies from a file, with no server at all', { skip: !browser && 'no Chromium' }, async () => {
  const context = await browser?.newContext({ offline: true });
  const tab = await context?.newPage();
  if (!tab) return;
  const requests: string[] = [];
  tab.on('request', (request) => requests.push(request.url()));
  await tab.goto(pathToFileURL(page).href);
  await tab.getByLabel('Keys of logs').fill(log.vkey);
  const result = (text: RegExp) => tab.getByRole('listitem').filter({ hasText: text }).first().waitFor();
  await tab.locator('.verify-files').setInputFiles([join(scratch, 'good.json'), join(scratch, 'forged.json')]);
  await result(/^Proven good\.json: outcome of act_7/);
  await result(/^Not proven forged\.json/);
  await tab.locator('.verify-folder').setInputFiles(join(scratch, 'honest'));
  await result(/^Proven log\.example\/one: all 300 records/);
  await tab.locator('.verify-folder').setInputFiles(join(scratch, 'edited'));
  await result(/^Not proven log\.example\/one: edited: record 9 /);
  await tab.getByLabel('A checkpoint that you have kept').fill(noteOf(publish(records, newSigner('log.example/gone'))));
  await tab.locator('.verify-folder').setInputFiles(join(scratch, 'honest'));
  await result(/^Not proven log-missing: .*log\.example\/gone/);
  assert.deepEqual(requests, [pathToFileURL(page).href]);
});
