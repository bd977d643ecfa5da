import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBoundedCache } from './bounded-cache.ts';

test('a flood of new entries cannot push out what is in use, and cannot grow the cache', () => {
  const cache = createBoundedCache<number>(100);
  cache.set('in use', 1);
  for (let index = 0; index < 10_000; index++) {
    cache.set(`flood ${index}`, index);
    assert.equal(cache.get('in use'), 1);
  }
  let kept = 0;
  for (let index = 0; index < 10_000; index++) if (cache.get(`flood ${index}`) !== undefined) kept++;
  assert.ok(kept <= 200, `${kept} entries kept`);
});

test('what was deleted or cleared is gone from both generations', () => {
  const cache = createBoundedCache<number>(2);
  for (const key of ['a', 'b', 'c']) cache.set(key, 1);
  cache.delete('a');
  assert.equal(cache.get('a'), undefined);
  cache.clear();
  assert.equal(cache.get('b'), undefined);
  assert.equal(cache.get('c'), undefined);
});
