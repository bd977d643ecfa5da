import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileSet, EntityUid, type Environment, parsePolicy } from './index.ts';
import { policyLimits } from './limits.ts';
import {
  conditionText,
  datetimes,
  decimals,
  durations,
  entitiesJson,
  ips,
  policyText,
  requestJson,
} from './testing/arbitrary.ts';
import { verdicts } from './testing/compare.ts';

/** @proves policy.same-as-official */
test('property: compiled policies decide as the official engine does, for the same reasons and with the same errors', () => {
  const reached = { allow: 0, forbidden: 0, silent: 0, errors: 0 };
  fc.assert(
    fc.property(
      fc.array(policyText, { minLength: 1, maxLength: 5 }),
      entitiesJson,
      fc.array(requestJson, { minLength: 4, maxLength: 4 }),
      (policies, entities, requests) => {
        for (const { compiled, sliced, official } of verdicts(policies, entities, requests)) {
          assert.deepEqual(compiled, official);
          assert.deepEqual(sliced, official);
          if (official.errors.length > 0) reached.errors++;
          if (official.decision === 'allow') reached.allow++;
          else reached[official.reason.length > 0 ? 'forbidden' : 'silent']++;
        }
      },
    ),
    { numRuns: 600 },
  );
  assert.ok(
    Object.values(reached).every((count) => count > 100),
    JSON.stringify(reached),
  );
});

/** @proves policy.same-as-official */
test('property: each operator and extension function gives what the official engine gives', () => {
  const reached = { holds: 0, errors: 0 };
  fc.assert(
    fc.property(
      fc.array(conditionText, { minLength: 40, maxLength: 40 }),
      entitiesJson,
      requestJson,
      (policies, entities, request) => {
        for (const { compiled, official } of verdicts(policies, entities, [request])) {
          assert.deepEqual(compiled, official);
          reached.holds += official.reason.length;
          reached.errors += official.errors.length;
        }
      },
    ),
    { numRuns: 400 },
  );
  assert.ok(reached.holds > 1_000 && reached.errors > 500, JSON.stringify(reached));
});

/** @proves policy.same-as-official */
test('extension functions at their edges, each with each', () => {
  const of = (name: string, texts: readonly string[]) => texts.map((text) => `${name}(${JSON.stringify(text)})`);
  const pairs = (all: readonly string[], ...make: ((left: string, right: string) => string)[]) =>
    all.flatMap((left) => all.flatMap((right) => make.map((each) => each(left, right))));
  const units = ['toMilliseconds', 'toSeconds', 'toMinutes', 'toHours', 'toDays'];
  const everything = [
    'decimal("0.0")',
    'datetime("1970-01-01")',
    'duration("0ms")',
    'ip("0.0.0.0")',
    '0',
    '"0"',
    '[]',
    '{}',
  ];
  const conditions = [
    ...pairs(
      of('ip', ips),
      (left, right) => `${left}.isInRange(${right})`,
      (left, right) => `${left} == ${right}`,
    ),
    ...of('ip', ips).flatMap((each) =>
      ['isIpv4', 'isIpv6', 'isLoopback', 'isMulticast'].map((name) => `${each}.${name}()`),
    ),
    ...pairs(
      of('decimal', decimals),
      (left, right) => `${left}.lessThan(${right})`,
      (left, right) => `${left}.greaterThanOrEqual(${right})`,
    ),
    ...pairs(
      of('datetime', datetimes),
      (left, right) => `${left} < ${right}`,
      (left, right) => `${left} == ${right}`,
      (left, right) => `${left}.toDate() == ${right}.toDate()`,
      (left, right) => `${left}.toTime() <= ${right}.toTime()`,
      (left, right) => `${left}.durationSince(${right}) > duration("90m")`,
    ),
    ...pairs(
      of('duration', durations),
      (left, right) => `${left} < ${right}`,
      (left, right) => `${left} == ${right}`,
    ),
    ...of('duration', durations).flatMap((each) =>
      units.flatMap((unit) =>
        ['-2562047788015', '-90', '-24', '-2', '-1', '0', '1', '24', '26', '106751991167', '2562047788015'].map(
          (n) => `${each}.${unit}() == ${n}`,
        ),
      ),
    ),
    ...of('duration', durations).map((each) => `datetime("2024-10-15").offset(${each}) > datetime("2024-10-15")`),
    ...pairs(everything, (left, right) => `${left} == ${right}`),
    ...pairs(['', 'a', 'aa', 'aba', 'ab', '*'], (text, pattern) => `"${text}" like "${pattern}*${pattern}"`),
  ];
  assert.ok(conditions.length > 2_000);
  const policies = conditions.map((body) => `permit(principal, action, resource) when { ${body} };`);
  const uid = { type: 'User', id: 'alice' };
  const request = { principal: uid, action: uid, resource: uid, context: {} };
  for (const { compiled, official } of verdicts(policies, [], [request])) {
    const texts = (ids: readonly string[]) => ids.map((id) => conditions[Number(id.slice(1))]);
    assert.deepEqual(texts(compiled.reason), texts(official.reason));
    assert.deepEqual(texts(compiled.errors), texts(official.errors));
  }
});

/** @proves policy.same-as-official */
test('answers are kept for some combinations of policies, and right for all of them', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const json = names.map((name, at) => {
    const effect = at % 3 === 2 ? 'forbid' : 'permit';
    const parsed = parsePolicy(`${effect}(principal, action, resource) when { context.${name} };`);
    if ('problem' in parsed) throw new Error(parsed.problem);
    return { id: name, json: parsed.json };
  });
  const set = compileSet(json);
  const nobody = new EntityUid('User', 'nobody');
  const environmentOf = (combination: number): Environment => ({
    principal: nobody,
    action: nobody,
    resource: nobody,
    context: new Map(names.map((name, at) => [name, (combination >> at) % 2 === 1])),
    entities: new Map(),
  });
  const slice = set.slice(environmentOf(0));
  assert.ok(2 ** names.length > 2 * policyLimits.answersKept);
  for (let round = 0; round < 2; round++)
    for (let combination = 0; combination < 2 ** names.length; combination++)
      assert.deepEqual(slice.authorize(environmentOf(combination)), set.authorize(environmentOf(combination)));
});
