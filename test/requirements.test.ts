import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { requirements } from './requirements/index.ts';

const root = join(import.meta.dirname, '..');

test('every promise is cited by a test, and every citation names a promise', () => {
  const cited = new Map<string, string[]>();
  for (const file of globSync('{packages,test,conformance}/**/*.test.ts', {
    cwd: root,
    exclude: ['**/node_modules/**'],
  })) {
    for (const [, ids = ''] of readFileSync(join(root, file), 'utf8').matchAll(/@proves ([a-z0-9.,\- ]+)/g)) {
      for (const id of ids.split(',').map((each) => each.trim())) cited.set(id, [...(cited.get(id) ?? []), file]);
    }
  }
  const known = new Set(requirements.map(({ id }) => id));
  assert.deepEqual(
    [...cited.keys()].filter((id) => !known.has(id)),
    [],
    'cited, but not promised',
  );
  assert.deepEqual(
    [...known].filter((id) => !cited.has(id)),
    [],
    'promised, but no test cites it',
  );
  assert.equal(known.size, requirements.length, 'an id stands twice');
});
