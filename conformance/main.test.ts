import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const run = (part: string) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), '--only', part], {
    // Nothing is installed on this machine.
    env: { PATH: '/nowhere', HOME: '/nowhere' },
    encoding: 'utf8',
  });

test('a product that cannot be fetched or built here says what to install, and nothing is taken for passed', () => {
  for (const [part, says] of [
    ['go-spiffe', /go-spiffe could not be tried\. go is missing: install Go/],
    ['spire', /spire could not be tried\. go is missing: install Go/],
    ['keycloak', /keycloak could not be tried\. java is missing: install Java 17/],
  ] as const) {
    const { status, stdout, stderr } = run(part);
    assert.deepEqual([status, stdout], [69, ''], stderr);
    assert.match(stderr, says);
    assert.doesNotMatch(stderr, /\n +at /);
  }
  const unknown = run('okta');
  assert.equal(unknown.status, 64);
  assert.match(unknown.stderr, /one of: server, client/);
});
