import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { differences, inWords } from './differences.ts';
import { hiddenCharacter, hiddenCharacters } from './hidden-characters.ts';
import { skeleton } from './look-alikes.ts';

test('names that a person takes for one another have one skeleton', () => {
  const alike = [
    ['agent-support', 'agentsupport', 'Agent_Support', 'agent.support', 'аgent-suppоrt', 'ａgent-support'],
    ['get_user', 'getUser', 'GET-USER'],
    ['tool-1', 'tool-l', 'tool1'],
    ['log0', 'logo'],
    ['résumé', 'resume'],
  ];
  for (const group of alike) assert.equal(new Set(group.map(skeleton)).size, 1, group.join());
  const all = ['agent-support', 'agent-supports', 'tool-2', 'job-1-11', 'job-11-1', 'get_users', 'get_user'];
  assert.equal(new Set(all.map(skeleton)).size, all.length);
});

test('every character that hides or reorders text is found, at its place, also in member names', () => {
  const hiding = [
    0x00, 0x1b, 0x7f, 0x9b, 0xad, 0x200b, 0x200f, 0x202e, 0x2066, 0x2060, 0xfeff, 0x3164, 0xe0041, 0xe0100, 0xe000,
  ];
  for (const code of hiding) {
    const text = `a${String.fromCodePoint(code)}b`;
    assert.equal(hiddenCharacter(text), `U+${code.toString(16).toUpperCase().padStart(4, '0')}`);
    assert.equal(hiddenCharacters({ a: [{ b: text }] })[0]?.path, 'a.0.b');
    assert.equal(hiddenCharacters({ [text]: 1 }).length, 1);
  }
  assert.equal(hiddenCharacter('a\ufe0f'), 'U+FE0F');
  assert.equal(hiddenCharacter('half \ud83d'), 'U+D83D');
});

test('what people write in any language is not taken for hidden text', () => {
  const plain = ['Größe, naïve, ½', 'zeile\r\n\tzwei', 'שלום', 'مرحبا', '你好，世界', 'Привет', '⚠️ ✔ 👍🏽 1️⃣', 'नमस्ते'];
  for (const text of plain) assert.equal(hiddenCharacter(text), undefined, text);
});

test('differences are none exactly when two values are the same but for key order', () => {
  const value = fc.jsonValue({ maxDepth: 3 });
  const reversed = (of: unknown): unknown => {
    if (Array.isArray(of)) return of.map(reversed);
    if (typeof of !== 'object' || of === null) return of;
    return Object.fromEntries(
      Object.entries(of)
        .reverse()
        .map(([key, member]) => [key, reversed(member)]),
    );
  };
  fc.assert(
    fc.property(value, value, (a, b) => {
      assert.deepEqual(differences(a, reversed(a)), []);
      const same = differences(a, b).length === 0;
      assert.equal(same, isDeepStrictEqual(a, b));
    }),
  );
});

test('differences name their path, and are short in words', () => {
  const before = { tools: { 'get.x': { tier: 1 } }, allow: [{ tools: ['a'] }, { tools: ['b'] }], gone: 1 };
  const after = { tools: { 'get.x': { tier: 2 } }, allow: [{ tools: ['a'] }, { tools: ['c'] }], long: 'x'.repeat(999) };
  assert.deepEqual(differences(before, after).map(inWords), [
    'tools["get.x"].tier: 1 → 2',
    'allow[1].tools: ["b"] → ["c"]',
    'gone: removed 1',
    `long: added "${'x'.repeat(159)}… (1001 characters)`,
  ]);
});
