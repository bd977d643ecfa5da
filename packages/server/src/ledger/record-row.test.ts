import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ActionRecord } from '@gatehouse/protocol';
import { leafHash } from '@gatehouse/verifier';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { toRow } from './record-row.ts';

const text = fc.string({ unit: 'binary', maxLength: 12 });
const maybe = fc.option(text);
const absent = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const effect = fc.constantFrom('allow', 'deny', 'needs-approval');
const tier = fc.constantFrom(1, 2, 3, 4);

const decision = fc.record(
  {
    ...{ effect, tier, code: text, reason: text, policies: fc.array(text, { maxLength: 3 }), policyVersion: text },
    obligations: fc.record({
      mask: fc.array(text, { maxLength: 2 }),
      limit: fc.option(fc.nat()),
      approvers: fc.array(text),
    }),
    grantable: fc.record({ calls: fc.nat(), seconds: fc.nat() }),
    observed: fc.record({ tier, effect, policies: fc.array(text, { maxLength: 2 }), code: text }),
    situation: fc.record({
      ...{ ticket: fc.record({ state: text, id: text }), address: text, untrusted: fc.constant(true) },
      provenance: fc.dictionary(text, text, { maxKeys: 4 }),
    }),
  },
  { requiredKeys: ['effect', 'tier', 'code', 'reason', 'policies', 'policyVersion'] },
);

const record = fc.record({
  ...{
    v: fc.constant(1),
    kind: fc.constantFrom('request', 'dispatch', 'outcome', 'change'),
    action_id: text,
    time: text,
  },
  ...{
    replica: text,
    operation: text,
    gateway: absent(text),
    trace_id: absent(text),
    span_id: absent(text),
    agent: maybe,
  },
  actor_chain: fc.array(fc.record({ sub: text, profile: fc.constantFrom('user', 'ai_agent') }), { maxLength: 3 }),
  ...{ requested_by: maybe, on_behalf_of: maybe, task: maybe, intent: maybe, model_provider: maybe, model: maybe },
  ...{
    environment: maybe,
    template: maybe,
    tool: maybe,
    tool_definition: maybe,
    resource: maybe,
    arguments_digest: maybe,
  },
  ...{ decision: fc.option(decision), labels: fc.array(text, { maxLength: 3 }), approval: maybe },
  credentials: fc.array(fc.record({ state: fc.constant('issued'), lease: text, provider: text }), { maxLength: 2 }),
  ...{
    ticket: maybe,
    change_request: maybe,
    result: fc.constantFrom(null, 'success', 'unknown'),
    result_digest: maybe,
  },
  ...{ changes: fc.array(text, { maxLength: 3 }), detail: maybe },
}) as unknown as fc.Arbitrary<ActionRecord>;

/** @proves record.canonical-entries */
test('the text of each record is its canonical form, with all that the record has, and its hash is of that text', () => {
  fc.assert(
    fc.property(record, (given) => {
      const { entry, leafHash: hash } = toRow(given, 1);
      const wellFormed = JSON.parse(JSON.stringify(given), (_name, value) =>
        typeof value === 'string' ? value.toWellFormed() : value,
      );
      assert.deepEqual(JSON.parse(entry), wellFormed);
      assert.equal(entry, canonicalize(JSON.parse(entry)));
      assert.deepEqual(hash, leafHash(Buffer.from(entry)));
    }),
    { numRuns: 300 },
  );
});

test('what only looks like half a surrogate pair stays as it is', () => {
  const [given] = fc.sample(record, 1) as [ActionRecord];
  const odd = { ...given, detail: '\\ud800 and \ud83d\ude00' };
  assert.equal(JSON.parse(toRow(odd, 1).entry).detail, odd.detail);
});
