import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Secret } from '../../platform/index.ts';
import { echoes } from './authorization/echo.ts';
import { hiddenMark, hiderOf } from './hide.ts';

const json = (text: string) => JSON.stringify(text).slice(1, -1);
const percent = (text: string) =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`).join('');
const html = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;');
const uri = (text: string) => encodeURIComponent(text);
const base64 = (text: string) => Buffer.from(text).toString('base64');
const hex = (text: string) => Buffer.from(text).toString('hex');

/** Of whole texts that hold the secret: what other programs make of them. */
const writers: Record<string, (text: string) => string> = {
  plain: (text) => text,
  json,
  'json in json': (text) => json(json(text)),
  'json in json in json': (text) => json(json(json(text))),
  "PHP's json": (text) => json(text).replaceAll('/', '\\/'),
  'json of ASCII alone': (text) =>
    json(text).replaceAll(
      /[^a-z0-9\\" -~]|[<>&'+]/gi,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  'a query': uri,
  'a query in lower case': (text) => uri(text).replaceAll(/%../g, (code) => code.toLowerCase()),
  'a query in a query': (text) => uri(uri(text)),
  'a form': (text) => new URLSearchParams({ a: text }).toString().slice(2),
  'percent, all of it': percent,
  html,
  'html in html': (text) => html(html(text)),
  'json in html': (text) => html(json(text)),
  hexadecimal: hex,
  'hexadecimal in upper case': (text) => hex(text).toUpperCase(),
  'hexadecimal with colons': (text) => hex(text).replaceAll(/..(?=.)/g, '$&:'),
  'hexadecimal of a literal': (text) => hex(text).replaceAll(/../g, '\\x$&'),
  base64,
  base64url: (text) => Buffer.from(text).toString('base64url'),
  'base64 in a query': (text) => uri(base64(text)),
  "base64 in PHP's json": (text) => base64(text).replaceAll('/', '\\/'),
  'base64 in lines': (text) => base64(text).replaceAll(/.{76}/g, '$&\n'),
  'base64 in lines of CRLF, in json': (text) => json(base64(text).replaceAll(/.{64}/g, '$&\r\n')),
  'base64 of json': (text) => base64(json(text)),
  "base64 of PHP's json": (text) => base64(json(text).replaceAll('/', '\\/')),
  'base64 of a query': (text) => base64(uri(text)),
};

const character = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) },
  { weight: 2, arbitrary: fc.constantFrom('"', '\\', '/', '%', '&', "'", '+', ' ', '\n', '<', '=') },
  { weight: 1, arbitrary: fc.constantFrom('é', 'ß', '€', '漢', '😀') },
);
const secrets = (length: number) =>
  fc.array(character, { minLength: length, maxLength: length }).map((characters) => characters.join(''));
/** Two of as many bytes each, so that nothing but their characters tells them apart. */
const pairs = fc
  .oneof({ weight: 9, arbitrary: fc.integer({ min: 8, max: 24 }) }, fc.integer({ min: 25, max: 100 }))
  .chain((length) =>
    fc.tuple(secrets(length), fc.string({ unit: fc.constantFrom('a', 'B', '7'), minLength: 400, maxLength: 400 })),
  )
  .map(([secret, other]) => [secret, other.slice(0, Buffer.byteLength(secret))] as const);

/** @proves injection.hidden */
test('of a secret of any printable characters nothing is left, however it is written and whatever stands around it', () => {
  fc.assert(
    fc.property(pairs, fc.constantFrom(...Object.keys(writers)), fc.nat(3), ([secret, other], way, shift) => {
      const write = writers[way] as (text: string) => string;
      const shown = (value: string) => hiderOf([new Secret(value)])(write(`${'~'.repeat(shift)}user:${value};end`));
      const [left, instead] = [shown(secret), shown(other)];
      assert.ok(left.includes(hiddenMark), `${way}: nothing is hidden in ${left}`);
      // What is left says nothing of it: with another secret of as many bytes it would be the same text. Where lines break is all that may differ.
      if (!/^base64 (of|in lines)/.test(way)) return assert.equal(left, instead, way);
      const written = write(secret);
      for (let at = 0; at + 6 <= written.length; at++) assert.ok(!left.includes(written.slice(at, at + 6)), way);
    }),
    { numRuns: 150 },
  );
});

test('what only looks like a secret is left as it is', () => {
  const hide = hiderOf([
    new Secret('eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.mine.a-signature'),
    new Secret('p4ss/word+1'),
  ]);
  for (const text of [
    'eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.yours.another-signature',
    'p4ss/word+2, p4ss%2fword, p4ss',
    '\\\\\\\\"%25%25%25 &amp;&amp;',
    Buffer.from('p4ss/wood+1').toString('base64'),
  ])
    assert.equal(hide(text), text);
  assert.equal(hide('a p4ss/word+1 of p4ss\\/word\\u002b1'), `a ${hiddenMark} of ${hiddenMark}`);
});

test('a long secret and one in lines are found whole, and line by line', () => {
  const lines = Array.from({ length: 40 }, (_, at) => `${at}`.padStart(4, '0').repeat(16));
  const pem = `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----`;
  const hide = hiderOf([new Secret(pem)]);
  for (const [way, write] of Object.entries(writers)) assert.ok(hide(write(`a${pem}b`)).length < 60, way);
  assert.equal(hide(`at ${lines[7]} of it`), `at ${hiddenMark} of it`);
});

test('an answer that holds a token in another case, or in base64 of a short text, counts as one that shows it', () => {
  const secret = new Secret('tok/en+9');
  for (const way of ['a query in lower case', 'hexadecimal in upper case', 'base64', 'base64url', "PHP's json"])
    assert.ok(echoes(`{"shown":"${(writers[way] as (text: string) => string)('~tok/en+9~')}"}`, secret), way);
});
