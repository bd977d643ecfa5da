import assert from 'node:assert/strict';
import { test } from 'node:test';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { canonicalJson, parseStrictJson } from './json.ts';

const parse = (text: string | Uint8Array, depth?: number) =>
  parseStrictJson(typeof text === 'string' ? Buffer.from(text) : text, depth);
const codeOf = (text: string | Uint8Array, depth?: number): string => {
  try {
    parse(text, depth);
    return 'parsed';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

/** @proves law-10.json */
test('property: strict parsing gives what JSON.parse gives, and loses nothing of it', () => {
  fc.assert(
    fc.property(fc.json({ noUnicodeString: false }), (text) => {
      const wanted = JSON.parse(text);
      const code = codeOf(text);
      if (code === 'parsed') assert.deepEqual(parse(text), wanted);
      else assert.match(code, /^json\.(duplicate-key|forbidden-key|lone-surrogate|number)$/);
    }),
  );
});

/** @proves law-10.json */
test('what could be read in two ways is refused by name', () => {
  const refused: Record<string, string> = {
    '{"a":1,"a":2}': 'json.duplicate-key',
    '{"a":1,"\\u0061":2}': 'json.duplicate-key',
    '{"__proto__":1}': 'json.forbidden-key',
    '{"\\u005f_proto__":1}': 'json.forbidden-key',
    '"\\ud800"': 'json.lone-surrogate',
    '{"a":[{"b":1}],"a":1}': 'json.duplicate-key',
    '{': 'json.malformed',
    '01': 'json.malformed',
    '1 2': 'json.malformed',
    '': 'json.malformed',
    '\ufeff{': 'json.malformed',
    '"\\x"': 'json.malformed',
    '[1e999]': 'json.number',
    '-1e400': 'json.number',
    '{"id":9007199254740993}': 'json.number',
    '{"id":-9007199254740993}': 'json.number',
    '[12345678901234567890]': 'json.number',
    '[18446744073709551616]': 'json.number',
    [`[${'9'.repeat(400)}]`]: 'json.number',
  };
  for (const [text, code] of Object.entries(refused)) assert.equal(codeOf(text), code, text);
  assert.equal(codeOf(new Uint8Array([0x22, 0xc3, 0x28, 0x22])), 'json.not-utf8');
  assert.equal(codeOf('['.repeat(65)), 'json.too-deep');
  assert.equal(codeOf(`${'['.repeat(64)}${']'.repeat(64)}`), 'parsed');
  for (const text of ['9007199254740991', '9007199254740992', '-0', '0.1e-7', '1E5', '0.12345678901234567'])
    assert.equal(codeOf(`[${text}]`), 'parsed', text);
  assert.deepEqual(parseStrictJson(Buffer.from('[9007199254740993]'), 8, 'rounded'), [9007199254740992]);
});

test('property: the canonical form is that of RFC 8785, whatever order the members stand in and whatever they are', () => {
  const sortedDeep = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sortedDeep);
    if (typeof value !== 'object' || value === null || 'toJSON' in value) return value;
    const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(members.map(([key, member]) => [key, sortedDeep(member)]));
  };
  const either = (write: () => string | undefined) => {
    try {
      return write();
    } catch {
      return 'refused';
    }
  };
  let inOrder = 0;
  fc.assert(
    fc.property(
      fc.anything({
        key: fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('a', 'b', '1', '10', '9', '__proto__', '\ud800')),
        withDate: true,
        withBoxedValues: true,
        withNullPrototype: true,
        withUnicodeString: true,
      } as Parameters<typeof fc.anything>[0]),
      (value) => {
        for (const given of [value, sortedDeep(value)]) {
          const wanted = either(() => canonicalize(given));
          assert.equal(
            either(() => canonicalJson(given)),
            wanted ?? 'refused',
          );
          if (typeof given === 'object' && wanted !== 'refused') inOrder++;
        }
      },
    ),
    { numRuns: 2_000 },
  );
  assert.ok(inOrder > 500, String(inOrder));
  const loop: Record<string, unknown> = {};
  loop.a = loop;
  assert.throws(() => canonicalJson(loop));
  assert.throws(() => canonicalJson({ a: '\ud800' }));
});
