import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanMessage } from './clean.ts';
import { resultLimits } from './limits.ts';
import { cleanMarkup } from './markup.ts';
import { placeholdersOf } from './mask.ts';
import { candidatesOf, stylesFetch } from './remote.ts';
import { createTally } from './tally.ts';
import { slowInputs } from './testing/slow-inputs.ts';

/** @proves result.bounded */
test('style sheets and lists of images that are made to be slow are gone through once', () => {
  assert.equal(stylesFetch(`${'/*a'.repeat(300_000)} url(https://evil.example)`, []), false);
  assert.equal(stylesFetch('/* a */ url(https://evil.example)', []), true);
  assert.equal(stylesFetch('u/**/rl(https://evil.example)', []), true);
  assert.deepEqual(candidatesOf(`a.png 1x , b.png${' '.repeat(500_000)}2x`), ['a.png', 'b.png']);
});

/** @proves result.bounded */
test('Markdown is parsed where that is soon done, in one text and in all of a result; the rest of it shows no image', () => {
  const rules = { allowedHosts: [], keep: false };
  for (const slow of [' '.repeat(60_000), `${'>'.repeat(60_000)} a`, '['.repeat(60_000)]) {
    const tally = createTally();
    assert.equal(cleanMarkup(`![a](\n${slow}b`, rules, tally), `!\\[a](\n${slow}b`);
    assert.equal(tally.markdownWork, 0);
  }
  const tally = createTally();
  const text = `![a](https://evil.example/?d=1) ${'word '.repeat(10_000)}`;
  const shown = Array.from({ length: 40 }, () => cleanMarkup(text, rules, tally).slice(0, 12));
  assert.deepEqual([shown[0], shown.at(-1)], ['[image: a] w', '!\\[a](https:']);
  assert.ok(tally.markdownWork > 0 && tally.markdownWork <= resultLimits.parsedMarkdownWork);
});

/** A pattern whose time grows with the square of a text takes hours for one of these, so that the test would not end. */
for (const fields of [[], [{ path: ['a'], kind: 'payroll' }]])
  test(`texts of a megabyte that are made to be slow are all gone through (${fields.length} masked fields)`, () => {
    const rules = {
      markup: { allowedHosts: [], keep: false },
      mask: new Set(['credentials', 'personal', 'financial', 'payroll']),
      fields,
      whole: null,
      placeholder: placeholdersOf(new Uint8Array(32), 'tsk_1'),
    };
    const length = 1024 * 1024;
    for (const [name, make] of slowInputs) {
      const text = make(length);
      const { content } = cleanMessage({ content: [{ type: 'text', text }] }, rules, createTally()) as {
        content: { text: string }[];
      };
      assert.equal(typeof content[0]?.text, 'string', name);
    }
  });
