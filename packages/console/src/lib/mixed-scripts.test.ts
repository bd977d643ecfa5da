import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mixedWords } from './mixed-scripts.ts';

test('a word that mixes alphabets is found, and one in any alphabet alone is not', () => {
  assert.deepEqual(mixedWords('to \u0430nna@example.com and p\u0430ypal.com'), ['\u0430nna', 'p\u0430ypal.com']);
  for (const plain of ['anna@example.com', 'Анна Иванова', 'Άννα', '日本語 text', 'naïve Übung €40', ''])
    assert.deepEqual(mixedWords(plain), []);
  assert.equal(mixedWords('а1b '.repeat(3)).length, 1, 'each once');
});
