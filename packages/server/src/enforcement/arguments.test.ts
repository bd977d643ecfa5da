import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestJson, type Json, type JsonObject } from '../platform/index.ts';
import type { RegisteredTool } from '../registry/index.ts';
import { checkArguments } from './arguments.ts';

function check(inputSchema: JsonObject, args: Json): string | undefined {
  const definition: JsonObject = { name: 't', inputSchema };
  const digest = digestJson(definition);
  return checkArguments({ ref: 's/t', definition, digest } as unknown as RegisteredTool, args);
}

const object = (properties: JsonObject, more: JsonObject = {}): JsonObject => ({ type: 'object', properties, ...more });
const string = { type: 'string' };
/** As text: an object with `then` is taken for a promise. */
const conditional = JSON.parse(
  '{"if":{"properties":{"a":{"const":"x"}}},"then":{"properties":{"b":{}}}}',
) as JsonObject;

test('an argument that no part of a composed schema names is refused; one that any part names is not', () => {
  const composed: Record<string, JsonObject> = {
    plain: object({ a: string, b: string }),
    allOf: object({ a: string }, { allOf: [object({ b: string })] }),
    anyOf: { type: 'object', anyOf: [object({ a: string }), object({ b: string })] },
    oneOf: {
      type: 'object',
      oneOf: [object({ a: string }, { required: ['a'] }), object({ b: string }, { required: ['b'] })],
    },
    reference: object({ a: string }, { $ref: '#/$defs/b~1', $defs: { 'b/': object({ b: string }) } }),
    'if and then': object({ a: string }, conditional),
    'to itself': object({ b: string, child: { $ref: '#' } }),
    'draft 7': object(
      { a: string },
      { $schema: 'http://json-schema.org/draft-07/schema#', allOf: [object({ b: string })] },
    ),
  };
  for (const [how, schema] of Object.entries(composed)) {
    assert.equal(check(schema, { b: 'x' }), undefined, how);
    for (const unnamed of ['c', 'A', 'constructor', 'аb'])
      assert.match(check(schema, { b: 'x', [unnamed]: 'x' }) ?? '', /is not an argument of s\/t/, how);
  }
  const open: JsonObject[] = [
    { additionalProperties: true },
    { additionalProperties: string },
    { patternProperties: { '^c': string } },
  ];
  for (const more of open) assert.equal(check(object({ a: string }, more), { c: 'x' }), undefined);
  assert.match(
    check(object({ a: string }, { additionalProperties: false }), { c: 'x' }) ?? '',
    /additional properties/,
  );
});

test('what a schema of a stranger makes us do is bounded: branches, patterns, uniqueness, size', () => {
  const branching = object(
    { a: { $ref: '#/$defs/n' } },
    {
      $defs: {
        n: {
          anyOf: [
            { type: 'array', items: { $ref: '#/$defs/n' } },
            { type: 'array', items: { $ref: '#/$defs/n' } },
          ],
        },
      },
    },
  );
  let deep: Json = 1;
  for (let depth = 0; depth < 60; depth++) deep = [deep];
  assert.match(check(branching, { a: deep }) ?? '', /steps to check/);

  const chain: JsonObject = {};
  for (let n = 0; n < 40; n++)
    chain[`d${n}`] = { allOf: [{ $ref: `#/$defs/d${n + 1}` }, { $ref: `#/$defs/d${n + 1}` }] };
  chain.d40 = string;
  assert.match(check(object({ a: { $ref: '#/$defs/d0' } }, { $defs: chain }), { a: 'x' }) ?? '', /steps to check/);

  for (const pattern of [
    '^(a+)+$',
    '^(a|a)*$',
    '^(a|aa)+$',
    '^((a?){9}){9}$',
    '^(?=(a+)+b)',
    '(a*)*\\1$',
    '^([a-z]+\\d?)*$',
  ])
    assert.equal(
      check(object({ a: { type: 'string', pattern } }), { a: `${'a'.repeat(50_000)}!` }),
      undefined,
      pattern,
    );
  for (const pattern of ['a*a*a*a*b', '\\s+$', '^.*,.*,.*,.*$'])
    assert.equal(
      typeof check(object({ a: { type: 'string', pattern } }), { a: 'x'.repeat(100_000) }),
      'undefined',
      pattern,
    );

  const many = Array.from({ length: 200_000 }, (_, n) => ({ n }));
  const unique = object({ a: { type: 'array', uniqueItems: true } });
  assert.equal(check(unique, { a: many }), undefined);
  assert.ok(check(unique, { a: [...many, { n: 7 }] }));
  assert.ok(
    check(unique, {
      a: [
        { x: 1, y: 2 },
        { y: 2, x: 1 },
      ],
    }),
  );

  const huge = object(Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`p${n}`, string])));
  assert.match(check(huge, {}) ?? '', /cannot be used/);
});

test('patterns that cannot run away are checked', () => {
  const uuid = '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$';
  const misfits: [string, string][] = [
    [uuid, 'x'],
    ['^[a-z]+$', 'A'],
    ['^(?:red|green)$', 'blue'],
    ['^\\d{4}(-\\d{2})?$', 'May'],
    ['^v\\d+\\.\\d+(\\.\\d+)?$', 'v1'],
    ['^[^/{}]{1,20}$', 'a/b'],
  ];
  for (const [pattern, text] of misfits)
    assert.match(check(object({ a: { type: 'string', pattern } }), { a: text }) ?? '', /must match pattern/, pattern);
});

test('a schema that points elsewhere is not followed and not passed by', () => {
  for (const $ref of ['https://elsewhere.example/schema.json', 'file:///etc/passwd', '#/$defs/missing', '#anchor'])
    assert.match(check(object({ a: { $ref } }), { a: 1 }) ?? '', /cannot be used/, $ref);
});
