import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { plain } from './clients/plain.ts';
import { type HelperKind, helperScript } from './helpers.ts';

/** What a helper asks for, with this in its environment: a `curl` of ours prints the address. */
function asking(kind: HelperKind, wait: string) {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-helper-'));
  try {
    writeFileSync(join(directory, 'curl'), '#!/bin/sh\nfor last; do :; done\nprintf "%s\\n200" "$last"\n', {
      mode: 0o700,
    });
    const script = join(directory, 'helper');
    const where = { socket: '/nowhere', provider: 'p', hosts: [], narrow: false, server: undefined };
    writeFileSync(script, helperScript(kind, where), { mode: 0o700 });
    const env = { PATH: `${directory}:${process.env.PATH}`, GATEHOUSE_WAIT_SECONDS: wait };
    const { stdout, stderr } = spawnSync('/bin/sh', [script], { env, encoding: 'utf8' });
    return { stdout, stderr };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** @proves clients.gcp */
test('however long others wait, Google’s library has its answer before it gives up', () => {
  assert.match(asking('gcp', '300').stdout, /\?wait=25&/);
  assert.match(asking('gcp', '5').stdout, /\?wait=5&/);
});

test('a wait that is no number of seconds is said, and is the usual one', () => {
  const { stdout, stderr } = asking('kubectl', '5m');
  assert.match(stdout, /kubectl\/p\?wait=0&/);
  assert.match(stderr, /GATEHOUSE_WAIT_SECONDS is a whole number of seconds, not 5m/);
  assert.match(asking('gcp', '5m').stdout, /\?wait=20&/);
});

test('what is no scope is said to be none, and asks for nothing', async () => {
  for (const body of ['not json', '[]', 'null', '1']) {
    const answer = await plain.answer({ path: ['orders'], body, waitMs: 0 } as never, {} as never);
    assert.equal(answer.status, 400);
  }
});
