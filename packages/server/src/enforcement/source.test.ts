import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RegisteredTool } from '../registry/index.ts';
import { raised } from './source.ts';

test('what a detector raises leaves each field what it stands for', () => {
  const tool: RegisteredTool = {
    ref: 'desk/contacts',
    server: 'desk',
    name: 'contacts',
    tier: 1,
    effects: ['read'],
    resourceArgument: null,
    state: 'approved',
    digest: null,
    definition: null,
    labels: {
      domain: null,
      store: null,
      roles: {},
      nobodyWithout: [],
      limitArgument: null,
      idempotent: false,
      idempotencyArgument: null,
      keepMarkup: false,
      hold: null,
      returns: {
        trust: 'trusted',
        sensitive: [],
        fields: { '*.id': { role: 'identifier' }, '*.amount': { role: 'amount', sensitive: ['financial'] } },
      },
    },
  };
  const source = { tool, arguments: {}, obligations: undefined };
  const returnsOf = (isUntrusted: boolean) =>
    raised(source, { isUntrusted, sensitive: ['personal'] }).tool.labels.returns;
  for (const [isUntrusted, trust] of [
    [false, 'trusted'],
    [true, 'untrusted'],
  ] as const) {
    const sensitive = ['financial', 'personal'];
    assert.deepEqual(returnsOf(isUntrusted), {
      trust,
      sensitive,
      fields: { '*.id': { role: 'identifier', trust, sensitive }, '*.amount': { role: 'amount', trust, sensitive } },
    });
  }
});
