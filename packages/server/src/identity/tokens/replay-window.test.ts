import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReplayWindow } from './replay-window.ts';

test('an identifier is fresh once, and stays used for the whole retention', () => {
  const window = createReplayWindow(120_000);
  const start = 1_800_000_000_000;
  for (let second = 0; second < 240; second += 7) {
    const id = `at ${second}`;
    const seen = start + second * 1000;
    assert.equal(window.add(id, seen), 'fresh');
    assert.equal(window.add(id, seen), 'replayed');
  }
  const last = start + 238_000;
  assert.equal(window.add('at 238', last + 119_999), 'replayed');
});

test('a hundred thousand identifiers are all remembered, and none is mistaken for another', () => {
  const window = createReplayWindow(120_000);
  for (let index = 0; index < 100_000; index++) assert.equal(window.add(`id ${index}`, 1_000_000), 'fresh');
  for (let index = 0; index < 100_000; index++) assert.equal(window.add(`id ${index}`, 1_030_000), 'replayed');
});

test('a full window refuses instead of forgetting, and frees itself with time', () => {
  const window = createReplayWindow(120_000, 10);
  for (let index = 0; index < 10; index++) assert.equal(window.add(`id ${index}`, 0), 'fresh');
  assert.equal(window.add('one more', 0), 'full');
  assert.equal(window.add('id 3', 0), 'replayed');
  assert.equal(window.add('one more', 60_000), 'fresh');
});

test('a clock that is set back does not make a used identifier fresh', () => {
  const window = createReplayWindow(120_000);
  assert.equal(window.add('id', 1_000_000_000), 'fresh');
  assert.equal(window.add('id', 999_000_000), 'replayed');
  assert.equal(window.add('id', 1_000_010_000), 'replayed');
});
