import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type TrustRuleManifest, trustRuleManifest } from '@gatehouse/protocol';
import fc from 'fast-check';
import type { JsonObject } from '../../platform/index.ts';
import { checkTrustRules, claimOf, conditionHolds, globMatches, globsOverlap, rulesOverlap } from './index.ts';

const known = { hasAgent: () => true, hasWorkload: () => true, hasTrustDomain: () => true };
const accepts = ({ claims }: TrustRuleManifest, token: JsonObject) =>
  Object.entries(claims).every(([name, condition]) => conditionHolds(condition, claimOf(token, name)));

const text = fc.string({ unit: fc.constantFrom('a', 'b', ':', '/'), maxLength: 4 });
const glob = fc
  .array(fc.constantFrom('a', 'b', ':', '/', '*', '**'), { minLength: 1, maxLength: 5 })
  .map((parts) => parts.join(''));
const condition = fc.oneof(
  text,
  fc.integer({ min: 0, max: 1 }),
  fc.boolean(),
  glob.map((pattern) => ({ pattern })),
  text.map((contains) => ({ contains })),
);
const names = fc.constantFrom('sub', 'ref', 'env');
const value = fc.oneof(text, fc.integer({ min: 0, max: 1 }), fc.boolean(), fc.array(text, { maxLength: 3 }));
const rule = (name: string) =>
  fc
    .record({ claims: fc.dictionary(names, condition), agent: fc.constantFrom('one', 'two') })
    .map(({ claims, agent }) =>
      trustRuleManifest.parse({
        kind: 'TrustRule',
        name,
        issuer: { type: 'oidc', url: 'https://issuer.example' },
        claims: { sub: { pattern: '**' }, ...claims },
        agent,
      }),
    );

describe('trust rules', () => {
  /** @proves federation.exclusive */
  test('that one token satisfies and that stand for different agents are never both applied', () => {
    fc.assert(
      fc.property(rule('a'), rule('b'), fc.dictionary(names, value), (one, other, token) => {
        if (!accepts(one, token as JsonObject) || !accepts(other, token as JsonObject)) return;
        assert.ok(rulesOverlap(one, other) && rulesOverlap(other, one));
        assert.equal(checkTrustRules({ rules: [one, other], ...known }).length > 0, one.agent !== other.agent);
      }),
      { numRuns: 20_000 },
    );
  });

  test('are apart by one claim, by the issuer, and by nothing that a second token would change', () => {
    const make = (agent: string, change: Record<string, unknown>) =>
      trustRuleManifest.parse({
        kind: 'TrustRule',
        name: agent,
        agent,
        issuer: { type: 'oidc', url: 'https://issuer.example' },
        claims: { sub: 'x' },
        ...change,
      });
    const problems = (one: Record<string, unknown>, other: Record<string, unknown>) =>
      checkTrustRules({ rules: [make('one', one), make('two', other)], ...known }).length;
    assert.equal(problems({}, { claims: { sub: 'y' } }), 0);
    assert.equal(problems({}, { issuer: { type: 'oidc', url: 'https://other.example' } }), 0);
    assert.equal(problems({}, { issuer: { type: 'aws-iam' }, claims: { arn: 'x' } }), 0);
    assert.equal(problems({}, {}), 1);
    assert.equal(problems({}, { audience: 'https://other.example' }), 1);
    assert.equal(problems({}, { maxAgeSeconds: 60 }), 1);
    assert.equal(problems({ state: 'suspended' }, {}), 1);
    assert.equal(problems({}, { claims: { sub: { pattern: '*' } } }), 1);
    assert.equal(problems({}, { claims: { sub: { contains: 'x' } } }), 0);
    assert.equal(
      problems(
        { claims: { sub: 'x', groups: { contains: 'a' } } },
        { claims: { sub: 'x', groups: { contains: 'b' } } },
      ),
      1,
    );
  });

  test('that would let in everybody whom an issuer knows, or stand for nobody, are refused', () => {
    const check = (change: Record<string, unknown>) =>
      checkTrustRules({
        rules: [
          trustRuleManifest.parse({
            kind: 'TrustRule',
            name: 'r',
            agent: 'one',
            issuer: { type: 'oidc', url: 'https://issuer.example' },
            claims: { sub: 'x' },
            ...change,
          }),
        ],
        ...known,
      }).map(({ path }) => path);
    assert.deepEqual(check({}), []);
    assert.deepEqual(check({ claims: {} }), ['claims']);
    assert.deepEqual(check({ claims: { repository: 'o/r' } }), ['claims']);
    assert.deepEqual(check({ workload: 'w' }), ['']);
    assert.deepEqual(check({ agent: undefined }), ['']);
    assert.deepEqual(check({ issuer: { type: 'oidc', url: 'http://issuer.example' } }), ['issuer.url']);
    assert.deepEqual(check({ issuer: { type: 'oidc', url: 'https://u:p@issuer.example' } }), ['issuer.url']);
    assert.deepEqual(check({ issuer: { type: 'oidc' } }), ['issuer.url']);
    assert.deepEqual(check({ claims: { sub: 'x', iss: 'y' } }), ['claims.iss']);
    assert.deepEqual(check({ issuer: { type: 'aws-iam' }, claims: { account: '123456789012' } }), ['claims']);
    assert.deepEqual(check({ issuer: { type: 'oidc', preset: 'gcp' }, claims: { email: 'a@b.example' } }), ['claims']);
  });
});

describe('patterns', () => {
  /** @proves federation.patterns */
  test('stand for what they say: * for text without : and /, ** for any, everything else for itself', () => {
    for (const [pattern, matching, others] of [
      [
        'repo:acme/*:ref:refs/heads/main',
        ['repo:acme/web:ref:refs/heads/main'],
        ['repo:acme/a/b:ref:refs/heads/main', 'repo:acme/x:y:ref:refs/heads/main', 'repo:evil/web:ref:refs/heads/main'],
      ],
      [
        'repo:acme/**',
        ['repo:acme/', 'repo:acme/web:environment:prod'],
        ['repo:acme', 'xrepo:acme/web', 'repo:acme-evil/web'],
      ],
      ['a.b', ['a.b'], ['axb', 'a.b.c']],
      ['*', ['', 'abc'], ['a:b', 'a/b']],
      ['[a]+(b)?$', ['[a]+(b)?$'], ['a', 'ab']],
    ] as const) {
      for (const text of matching) assert.ok(globMatches(pattern, text), `${pattern} ${text}`);
      for (const text of others) assert.ok(!globMatches(pattern, text), `${pattern} ${text}`);
    }
  });

  test('agree with a regular expression, and overlap exactly where a text fits both', () => {
    const expression = (pattern: string) =>
      new RegExp(
        `^${pattern.replaceAll('/', '\\/').replaceAll('**', '\u0000').replaceAll('*', '[^:/]*').replaceAll('\u0000', '.*')}$`,
        's',
      );
    const all = ['']; // Every text of up to six characters: three parts of each ask for no more.
    for (let from = 0, length = 0; length < 6; length++) {
      const to = all.length;
      for (; from < to; from++) for (const letter of 'ab:') all.push(all[from] + letter);
    }
    const small = fc.array(fc.constantFrom('a', 'b', ':', '*', '**'), { maxLength: 3 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(small, small, (one, other) => {
        const [a, b] = [expression(one), expression(other)];
        for (const each of all.slice(0, 121)) assert.equal(globMatches(one, each), a.test(each), `${one} ${each}`);
        assert.equal(
          globsOverlap(one, other),
          all.some((each) => a.test(each) && b.test(each)),
          `${one} ${other}`,
        );
        assert.equal(globsOverlap(one, other), globsOverlap(other, one));
      }),
      { numRuns: 2_000 },
    );
  });

  test('take no longer for a text that was made to take long', () => {
    assert.equal(globMatches(`${'*a'.repeat(140)}b`, 'a'.repeat(500)), false);
    assert.equal(globsOverlap(`${'**a'.repeat(99)}b`, `${'**b'.repeat(99)}a`), false);
  });
});
