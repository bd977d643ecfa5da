import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createNameIndex } from './name-index.ts';

test('pages of names are what a sorted list of them gives, whenever they were added', () => {
  const name = fc.stringMatching(/^[a-z0-9-]{1,4}$/);
  const step = fc.oneof(
    fc.record({ add: fc.uniqueArray(name, { maxLength: 20 }) }),
    fc.record({ after: fc.option(name, { nil: undefined }), limit: fc.integer({ min: 1, max: 10 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const index = createNameIndex();
      const known = new Set<string>();
      for (const each of steps) {
        if ('add' in each) {
          for (const added of each.add) if (!known.has(added)) index.add(added);
          for (const added of each.add) known.add(added);
          continue;
        }
        const { after, limit } = each;
        const expected = [...known].sort().filter((one) => after === undefined || one > after);
        assert.deepEqual(index.after(after, limit), expected.slice(0, limit));
      }
    }),
  );
});
