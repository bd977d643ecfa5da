import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fieldChanges, lineDiff, type Part, wordDiff } from './diff.ts';

const side = (parts: Part[], without: Part['kind']) =>
  parts
    .filter(({ kind }) => kind !== without)
    .map(({ text }) => text)
    .join('');

test('a difference of texts leaves nothing out of either text', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (start, before, after) => {
      for (const diff of [wordDiff, lineDiff]) {
        const parts = diff(start + before, start + after);
        assert.equal(side(parts, 'added'), start + before);
        assert.equal(side(parts, 'removed'), start + after);
      }
    }),
  );
});

test('texts too long to compare word by word are shown whole', () => {
  const [before, after] = ['a '.repeat(5_000), 'b '.repeat(5_000)];
  const parts = wordDiff(before, after);
  assert.equal(side(parts, 'added'), before);
  assert.equal(side(parts, 'removed'), after);
});

test('definitions that differ anywhere have a change that says so; equal ones, in any order of members, have none', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (before, after) => {
      const equal = isSame(before, after);
      assert.equal(fieldChanges(before, after).length === 0, equal);
      assert.deepEqual(fieldChanges(before, structuredClone(before)), []);
    }),
  );
  assert.deepEqual(fieldChanges({ a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 }), []);
});

test('a change is named by its path, with both values', () => {
  const before = { description: 'Reads.', inputSchema: { properties: { to: { maxLength: 34 } } } };
  const after = { description: 'Reads. Then sends.', inputSchema: { properties: { to: {}, bcc: { type: 'string' } } } };
  assert.deepEqual(
    fieldChanges(before, after).map(({ path, kind }) => `${kind} ${path}`),
    ['changed description', 'removed inputSchema.properties.to.maxLength', 'added inputSchema.properties.bcc'],
  );
  assert.deepEqual(fieldChanges(before, after)[0]?.before, 'Reads.');
  assert.deepEqual(fieldChanges(before, after)[0]?.after, 'Reads. Then sends.');
});

function isSame(a: unknown, b: unknown): boolean {
  try {
    assert.deepEqual(JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b)));
    return true;
  } catch {
    return false;
  }
}
