import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { narrowedBy } from './narrowing.ts';

const refs = ['shop/get', 'shop/put', 'mail/send', 'shop#resources', 'mail#prompts'];
const pattern = fc.constantFrom('*', 'shop/*', 'mail/*', 'other/*', ...refs);
const narrowing = fc.option(fc.record({ tools: fc.array(pattern, { maxLength: 4 }) }));

/** As a template matches: what is not a tool has to be named. */
const matches = (each: string, ref: string) =>
  each === ref || (!ref.includes('#') && (each === '*' || (each.endsWith('/*') && ref.startsWith(each.slice(0, -1)))));

/** @proves law-5.narrows */
test('narrowed several times, a task may use exactly what every narrowing leaves it', () => {
  fc.assert(
    fc.property(fc.array(narrowing, { maxLength: 4 }), (all) => {
      const together = narrowedBy(...all);
      for (const ref of refs) {
        const left = all.every((each) => !each || each.tools.some((tool) => matches(tool, ref)));
        assert.equal(!together || together.tools.some((tool) => matches(tool, ref)), left, ref);
      }
    }),
    { numRuns: 500 },
  );
});
