import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanMarkup } from './markup.ts';
import { candidatesOf, stylesFetch } from './remote.ts';
import { createTally } from './tally.ts';

/** @proves result.bounded */
test('style sheets, lists of images and Markdown that are made to be slow are gone through once', () => {
  assert.equal(stylesFetch(`${'/*a'.repeat(300_000)} url(https://evil.example)`, []), false);
  assert.equal(stylesFetch('/* a */ url(https://evil.example)', []), true);
  assert.equal(stylesFetch('u/**/rl(https://evil.example)', []), true);
  assert.deepEqual(candidatesOf(`a.png 1x , b.png${' '.repeat(500_000)}2x`), ['a.png', 'b.png']);
  const text = `![a](${' '.repeat(60_000)}b`;
  assert.equal(cleanMarkup(text, { allowedHosts: [], keep: false }, createTally()), text);
});
