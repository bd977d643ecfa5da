import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { plain } from './message.ts';

/** @proves channel.plain */
test('what a mail or chat program would make a link or hide is written so that it is neither', () => {
  for (const [text, shown] of [
    ['see https://evil.example/login', 'see https[:]//evil[.]example/login'],
    ['evil.example', 'evil[.]example'],
    ['a@evil.example', 'a@evil[.]example'],
    ['10.0.0.1', '10[.]0[.]0[.]1'],
    ['evil。example', 'evil[.]example'],
    ['pay 40.00 EUR.', 'pay 40.00 EUR.'],
    ['javascript:alert(1)', 'javascript[ ]:alert(1)'],
    ['ab\u202Edc', 'ab\\u{202e}dc'],
    ['a\u200Bb\u0000\r\nBcc: x', 'a\\u{200b}b\\u{0}\\u{d}\nBcc: x'],
    ['\u{E0041}', '\\u{e0041}'],
  ] as const)
    assert.equal(plain(text), shown);
});

/** @proves channel.plain */
test('whatever is given, nothing that reads as an address or is hidden comes out, and once is enough', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('https://', 'www.', 'evil.example', '.', ':', '/', '<@U1>', '\u202E', 'mailto:'),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const text = plain(pieces.join(''));
      assert.doesNotMatch(text, /:\/\//);
      assert.doesNotMatch(text, /\p{L}\.\p{L}/u);
      assert.doesNotMatch(text.replaceAll('\n', ''), /\p{C}/u);
      assert.equal(plain(text), text);
    }),
  );
});
