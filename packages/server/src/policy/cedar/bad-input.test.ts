import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CedarSet, compileSet, EntityUid, type Environment, parsePolicy, readValue, type Value } from './index.ts';

const nobody = new EntityUid('User', 'nobody');

function evaluate(condition: string, context: Record<string, Value> = {}) {
  const parsed = parsePolicy(`permit(principal, action, resource) when { ${condition} };`);
  if ('problem' in parsed) return parsed.problem;
  const environment: Environment = {
    principal: nobody,
    action: nobody,
    resource: nobody,
    context: new Map(Object.entries(context)),
    entities: new Map(),
  };
  const { decision, errors } = compileSet([{ id: 'p', json: parsed.json }]).authorize(environment);
  return errors[0]?.message ?? decision;
}

/** @proves policy.bad-input */
test('nesting that would break the official parser is refused before it, and the parser is as before', () => {
  const deep = (open: string, core: string, close: string, times: number) =>
    evaluate(open.repeat(times) + core + close.repeat(times));
  for (const times of [260, 2_000, 100_000]) {
    assert.match(deep('!(', 'true', ')', times), /nested more than 100 levels/);
    assert.match(deep('[', '', ']', times), /nested more than 100 levels/);
    assert.match(deep('{a:', '1', '}', times), /nested more than 100 levels/);
    assert.match(deep('if true then ', 'true', ' else true', times), /more than 250 conditionals/);
  }
  assert.equal(deep('!(', 'true', ')', 90), 'allow');
  assert.equal(
    evaluate(`${'"([{if'.repeat(1)}([{if" == "${'([{if '.repeat(200)}" // ${'('.repeat(200)}\n || true`),
    'allow',
  );
  assert.equal(evaluate(Array(400).fill('true').join(' && ')), 'allow');
  assert.match(evaluate(Array(2_000).fill('true').join(' && ')), /nested more than 500 levels/);
  assert.match(evaluate(`context${'.a'.repeat(1_000)} == 1`), /nested more than 500 levels/);
  for (const times of [10_000, 110_000])
    for (const [link, end] of [
      ['true && ', 'true'],
      ['false || ', 'true'],
      ['1 + ', '1 == 1'],
      ['1 * ', '1 == 1'],
    ] as const)
      assert.match(evaluate(link.repeat(times) + end), /nested more than 500 levels/);
  assert.match(evaluate(`context${'.a'.repeat(100_000)} == 1`), /nested more than 500 levels/);
  assert.match(
    evaluate(`principal${' in principal'.repeat(1)} && ${'context.a.b == 1 || '.repeat(300)}true`),
    /allow|exist/,
  );
  assert.equal(evaluate(`[${'1 + 1 == 2, '.repeat(4_000)}true].contains(true)`), 'allow');
  assert.equal(evaluate('1 + 1 == 2'), 'allow');
});

/** @proves policy.bad-input */
test('whole numbers are exact to 64 bits, and what leaves them is an error of that policy', () => {
  assert.equal(evaluate('9007199254740993 == 9007199254740992'), 'deny');
  assert.equal(evaluate('9007199254740992 + 1 == 9007199254740993'), 'allow');
  assert.equal(evaluate('-9223372036854775808 < -9223372036854775807'), 'allow');
  assert.match(evaluate('9223372036854775807 + 1 > 0'), /overflow/);
  assert.match(evaluate('-(-9223372036854775808) > 0'), /overflow/);
  assert.match(evaluate('context.n * context.n > 0', { n: Number.MAX_SAFE_INTEGER }), /overflow/);
  assert.equal(evaluate('{"9007199254740993": "9007199254740993"} has "9007199254740993"'), 'allow');
  assert.equal(evaluate(`[${'9007199254740993, '.repeat(5_000)}1].contains(9007199254740993)`), 'allow');
  for (const bad of [1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60, null, undefined])
    assert.throws(() => readValue(bad), /not a/, String(bad));
});

/** @proves policy.bad-input */
test('large arguments and hostile patterns cost no more than their size', { timeout: 20_000 }, () => {
  const many = new CedarSet(Array.from({ length: 200_000 }, (_, at) => `value ${at}`));
  const others = new CedarSet(Array.from({ length: 200_000 }, (_, at) => `other ${at}`));
  assert.equal(evaluate('context.a.containsAny(context.b)', { a: many, b: others }), 'deny');
  assert.equal(evaluate('context.a == context.b', { a: many, b: new CedarSet([...many.elements].reverse()) }), 'allow');
  const text = 'a'.repeat(1_000_000);
  assert.equal(evaluate(`context.t like "${'*a'.repeat(400)}*b"`, { t: text }), 'deny');
  assert.match(evaluate('decimal(context.t) == decimal("1.0")', { t: `${'9'.repeat(1_000_000)}.1` }), /overflow/);
  assert.match(evaluate('duration(context.t) == duration("1s")', { t: `${'9'.repeat(1_000_000)}ms` }), /overflow/);
  assert.match(evaluate('ip(context.t).isIpv4()', { t: '1.'.repeat(500_000) }), /not an IP address/);
});

/** @proves policy.bad-input */
test('no name is special in records', () => {
  for (const name of ['__proto__', 'constructor', 'hasOwnProperty', 'toString']) {
    assert.equal(evaluate(`context has "${name}"`), 'deny', name);
    assert.equal(evaluate(`context["${name}"] == 1`, Object.fromEntries([[name, 1]])), 'allow', name);
    assert.match(evaluate(`{}["${name}"] == 1`), /does not exist/, name);
    assert.equal(evaluate(`{"${name}": 1} == {"${name}": 1}`), 'allow', name);
  }
});
