import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hiddenCharacter } from '../../../server/src/registry/hidden-characters.ts';
import { countHidden, revealHidden } from './hidden-text.ts';

test('every character for which the registry holds a definition back is shown by its code', () => {
  for (let point = 0; point <= 0x10ffff; point++) {
    const character = String.fromCodePoint(point);
    // A lone surrogate can't come through JSON; in front of a letter nothing is part of a picture.
    if (hiddenCharacter(`a${character}`) !== undefined)
      assert.equal(countHidden(`a${character}b`), 1, `U+${point.toString(16)} would stay hidden`);
  }
});

test('a text loses nothing and gains nothing but the codes', () => {
  const pieces = revealHidden('pay \u202e00.04\u202c EUR\u200b to me');
  assert.deepEqual(
    pieces.map((piece) => (piece.hidden ? piece.code : piece.text)),
    ['pay ', 'U+202E', '00.04', 'U+202C', ' EUR', 'U+200B', ' to me'],
  );
});

test('ordinary text of any language, line ends, tabs and pictures are left alone', () => {
  for (const text of [
    'plain ASCII\n\tindented\r\nend',
    'Grüße, Ærøskøbing',
    '日本語のテキスト',
    'नमस्ते',
    '👍 ❤️ 1️⃣',
    'שלום',
  ])
    assert.equal(countHidden(text), 0, text);
});
