import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { packResults, packUnits, unpackResults, unpackUnits } from './packed-units.ts';
import type { LogUnit, LogUnitResult } from './storage.ts';

const text = fc.string({ maxLength: 8 });
const maybe = fc.option(text);
const bytes = fc.uint8Array({ maxLength: 40 });
const row = fc.record({
  ...{
    kind: text,
    actionId: text,
    at: fc.nat(),
    operation: text,
    agent: maybe,
    task: maybe,
    person: maybe,
    tool: maybe,
  },
  ...{ resource: maybe, effect: maybe, result: maybe, approval: maybe, ticket: maybe, entry: text, leafHash: bytes },
});
const body = fc.record({
  actionId: text,
  kind: fc.constantFrom('arguments', 'result'),
  salt: bytes,
  body: text,
  at: fc.nat(),
});
const unit = fc.record(
  {
    guards: fc.array(fc.record({ key: text, version: fc.nat() }), { maxLength: 3 }),
    records: fc.array(row, { maxLength: 3 }),
    bodies: fc.array(body, { maxLength: 2 }),
    consumeApproval: fc.record({ id: text, actionId: text, now: fc.nat() }),
    ends: fc.record({ actionId: text, unknown: fc.constant(null) }),
  },
  { requiredKeys: ['guards', 'records', 'bodies'] },
) as unknown as fc.Arbitrary<LogUnit>;

test('units cross to the database thread as they are, and what became of each comes back', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(unit, fc.boolean()), { maxLength: 6 }), fc.nat(), (given, first) => {
      const units = given.map(([each]) => each);
      const packed = packUnits(units);
      assert.deepEqual(
        unpackUnits(structuredClone(packed, { transfer: [packed.bytes.buffer] })),
        structuredClone(units),
      );
      let sequence = first;
      const results = given.map(
        ([{ records }, isWritten]): LogUnitResult =>
          isWritten
            ? { ok: true, sequences: records.map(() => sequence++) }
            : { ok: false, failed: 'guard', key: `at ${sequence}` },
      );
      assert.deepEqual(unpackResults(structuredClone(packResults(results)), first, units), results);
    }),
  );
});
