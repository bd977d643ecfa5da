import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cedarSpans, rangeOf } from './cedar-highlight.ts';

const policy =
  '@id("a")\nforbid (principal, action in Gatehouse::Action::"pay", resource) // why "not"\nwhen { context.arguments.n > 20 };';

test('keywords, strings, annotations, entities, numbers and comments are told apart', () => {
  const of = (ink: string) =>
    cedarSpans(policy)
      .filter((span) => span.ink === ink)
      .map(({ text }) => text);
  assert.deepEqual(of('annotation'), ['@id']);
  assert.deepEqual(of('effect'), ['forbid']);
  assert.deepEqual(of('string'), ['"a"', '"pay"']);
  assert.deepEqual(of('entity'), ['Gatehouse::Action']);
  assert.deepEqual(of('comment'), ['// why "not"']);
  assert.deepEqual(of('number'), ['20']);
});

test('a text loses and gains nothing, whatever it is and wherever it is marked', () => {
  const place = fc.record({ line: fc.nat(9), column: fc.nat(40), endLine: fc.nat(9), endColumn: fc.nat(40) });
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('"', '/', '\n', '@', ':', 'a', '\\') })),
      fc.array(place, { maxLength: 4 }),
      (text, places) => {
        assert.equal(
          cedarSpans(text, places)
            .map((span) => span.text)
            .join(''),
          text,
        );
      },
    ),
  );
});

test('exactly what is wrong is marked', () => {
  const place = { line: 3, column: 8, endLine: 3, endColumn: 15 };
  assert.equal(policy.slice(...rangeOf(policy, place)), 'context');
  const marked = cedarSpans(policy, [place]).filter((span) => span.marked);
  assert.deepEqual(
    marked.map(({ text }) => text),
    ['context'],
  );
});
