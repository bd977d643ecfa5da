import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { canary, createWatch } from './canary.ts';

const writings: [name: string, write: (text: string) => string][] = [
  ['plain', (text) => text],
  ['in JSON', (text) => JSON.stringify({ deep: [text] })],
  ['in a URL', (text) => `https://x.test/?q=${encodeURIComponent(text)}`],
  ['base64', (text) => Buffer.from(text).toString('base64')],
  ['base64url', (text) => Buffer.from(text).toString('base64url')],
  ['hexadecimal', (text) => Buffer.from(text).toString('hex')],
];

// @proves s5.watched
test('a canary is found wherever it stands and however it is written', () => {
  const watch = createWatch();
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.constantFrom(...writings), (before, after, [, write]) => {
      assert.equal(watch.found(write(`${before}${canary()}${after}`)), 'a canary');
    }),
  );
  assert.equal(watch.found('nothing of the kind'), undefined);
});

// @proves s5.watched
test('a run of tests that prints one fails, whatever the tests say', () => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-canary-'));
  const script = join(import.meta.dirname, '..', '..', 'scripts', 'test.ts');
  const run = (text: string) => {
    const file = join(directory, 'prints.test.ts');
    writeFileSync(file, `console.log(Buffer.from(${text}).toString('base64'));`);
    const { NODE_TEST_CONTEXT: _, GATEHOUSE_TEST_CANARY: __, ...env } = process.env;
    return spawnSync(process.execPath, [script, file], { env, encoding: 'utf8' });
  };
  try {
    const leaky = run('`x`.concat(process.env.GATEHOUSE_TEST_CANARY, `y`)');
    assert.equal(leaky.status, 1, leaky.stdout);
    assert.match(leaky.stderr, /A secret of the tests stands in what they printed/);
    assert.equal(run('"nothing"').status, 0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
