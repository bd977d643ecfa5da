import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { summed } from './statistics.ts';

const decisions = (count: number, tookMs: number, yes = true) => Array.from({ length: count }, () => ({ tookMs, yes }));

test('only who has decided enough, always yes and at once, is said to rubber-stamp', () => {
  assert.match(summed('a', decisions(20, 3_000)).remark ?? '', /^All 20 .* 3 s: this looks like rubber-stamping/);
  assert.equal(summed('a', decisions(19, 1_000)).remark, null);
  assert.equal(summed('a', [...decisions(19, 60_000), ...decisions(1, 60_000, false)]).remark, null);
  assert.match(summed('a', decisions(30, 60_000)).remark ?? '', /nobody needs to be asked/);
  assert.match(summed('a', [...decisions(20, 1_000), ...decisions(1, 1_000, false)]).remark ?? '', /20 of 21/);
  assert.deepEqual(summed('a', []).medianMs, null);
});

test('the median lies between the least and the most, and the parts make the whole', () => {
  const anyDecision = fc.record({ tookMs: fc.nat(10_000_000), yes: fc.boolean() });
  fc.assert(
    fc.property(fc.array(anyDecision, { minLength: 1 }), (all) => {
      const { medianMs, approved, denied, hasty } = summed('a', all);
      const times = all.map(({ tookMs }) => tookMs);
      assert.ok(medianMs !== null && medianMs >= Math.min(...times) && medianMs <= Math.max(...times));
      assert.equal(approved + denied, all.length);
      assert.ok(hasty <= approved);
    }),
  );
});
