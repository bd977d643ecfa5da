import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonObject } from '../../platform/index.ts';
import { encodeHeaderValue, parameterHeaders, readHeaderDeclarations, standardHeaders } from './parameter-headers.ts';

const marked = (name: string, type = 'string') => ({ type, 'x-mcp-header': name });

describe('parameters that are mirrored into headers', () => {
  test('are taken from their exact place in the arguments', () => {
    const schema = {
      type: 'object',
      properties: {
        region: marked('Region'),
        deep: { type: 'object', properties: { count: marked('Count', 'integer'), on: marked('On', 'boolean') } },
        absent: marked('Absent'),
        nothing: marked('Nothing'),
      },
    };
    const args = { region: 'eu', deep: { count: -7, on: false }, nothing: null, Region: 'other' };
    assert.deepEqual(parameterHeaders(schema, args), {
      'Mcp-Param-Region': 'eu',
      'Mcp-Param-Count': '-7',
      'Mcp-Param-On': 'false',
    });
  });

  test('are never taken from a prototype, nor sent with a wrong type', () => {
    const schema = { properties: { constructor: marked('A'), b: marked('B'), c: marked('C', 'integer') } };
    assert.deepEqual(parameterHeaders(schema, { b: { toString: 'x' }, c: 2 ** 60 }), {});
  });

  const invalid: Record<string, JsonObject> = {
    'at the root': { 'x-mcp-header': 'A' },
    'without a name': { properties: { a: marked('') } },
    'with a name that breaks the header': { properties: { a: marked('A\r\nHost: evil') } },
    'with a name that has a space': { properties: { a: marked('A B') } },
    'on a number': { properties: { a: marked('A', 'number') } },
    'on an object': { properties: { a: marked('A', 'object') } },
    'with one name twice': { properties: { a: marked('Same'), b: marked('same') } },
    'below items': { properties: { a: { type: 'array', items: marked('A') } } },
    'below a choice': { oneOf: [{ properties: { a: marked('A') } }] },
    'in a definition': { $defs: { a: { properties: { b: marked('A') } } } },
  };
  for (const [where, schema] of Object.entries(invalid)) {
    test(`declared ${where} make the definition invalid and mirror nothing`, () => {
      assert.ok('invalid' in readHeaderDeclarations(schema));
      assert.deepEqual(parameterHeaders(schema, { a: 'x', b: 'y' }), {});
    });
  }

  test('that only look so in a default or a description are none', () => {
    const read = readHeaderDeclarations({ properties: { a: { type: 'object', default: { 'x-mcp-header': 'A' } } } });
    assert.deepEqual(read, { declarations: [] });
  });
});

describe('a header value', () => {
  test('is plain where it is safe and Base64 where it is not', () => {
    assert.equal(encodeHeaderValue('us-west1'), 'us-west1');
    assert.equal(encodeHeaderValue('two words'), 'two words');
    assert.equal(encodeHeaderValue('Hello, 世界'), '=?base64?SGVsbG8sIOS4lueVjA==?=');
    assert.equal(encodeHeaderValue(' padded '), '=?base64?IHBhZGRlZCA=?=');
    assert.equal(encodeHeaderValue('line1\nline2'), '=?base64?bGluZTEKbGluZTI=?=');
    assert.equal(encodeHeaderValue('=?base64?literal?='), '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=');
    assert.equal(encodeHeaderValue(''), '=?base64??=');
  });

  test('names what the body names', () => {
    assert.deepEqual(standardHeaders('tools/call', { name: 'a' }), { 'mcp-method': 'tools/call', 'mcp-name': 'a' });
    assert.deepEqual(standardHeaders('resources/read', { uri: 'x://y', name: 'no' }), {
      'mcp-method': 'resources/read',
      'mcp-name': 'x://y',
    });
    assert.deepEqual(standardHeaders('tasks/get', { taskId: 't' }), { 'mcp-method': 'tasks/get', 'mcp-name': 't' });
    assert.deepEqual(standardHeaders('tools/list', { name: 'a' }), { 'mcp-method': 'tools/list' });
  });
});
