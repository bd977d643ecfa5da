import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyCall, readCall } from './supposed-call.ts';

const parameters = {
  order: { type: 'integer', required: true },
  customer: { type: 'string', required: true },
} as Parameters<typeof readCall>[1];

test('a call is what the fields say, with parameters of their types', () => {
  const { call } = readCall(
    {
      ...emptyCall,
      tool: 'shop/refund_order',
      template: 'refund',
      parameters: { order: '1042', customer: '7' },
      arguments: '{"order":1}',
      sensitive: 'personal, health',
      provenance: 'untrusted',
    },
    parameters,
  );
  assert.deepEqual(call?.parameters, { order: 1042, customer: '7' });
  assert.deepEqual(call?.arguments, { order: 1 });
  assert.deepEqual(call?.situation?.sensitive, ['personal', 'health']);
  assert.equal(call?.situation?.provenance, 'untrusted');
  assert.equal('agent' in (call ?? {}), false);
});

test('nothing is asked while the arguments are no object, or no tool is chosen', () => {
  for (const text of ['[', '[]', '1', 'null'])
    assert.ok(readCall({ ...emptyCall, tool: 'a/b', arguments: text }, {}).problems.arguments);
  assert.equal(readCall(emptyCall, {}).call, undefined);
});
