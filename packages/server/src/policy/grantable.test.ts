import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PolicyManifest, policyManifest } from '@gatehouse/protocol';
import { relaxedAllow } from '../governance/second-person/verdicts/allow.ts';
import type { GatehouseError } from '../platform/index.ts';
import { compilePolicies } from './compile.ts';
import { grantableOf, readGrantable } from './grantable.ts';
import { relaxedPolicies } from './relaxing.ts';
import { unknownSituation } from './situation.ts';
import { shopWorkspace } from './testing/workspace.ts';

type Of = Parameters<typeof grantableOf>[1][number];
const policy = (annotations: Record<string, string>, id = 'x#0') => ({ id, json: { annotations } }) as unknown as Of;
const [many, few] = ['20 calls within 4 h', '2 calls within 10 min'] as const;

test('a count and a length are read in one way, and within the limits', () => {
  assert.deepEqual(readGrantable(many), { calls: 20, seconds: 14_400 });
  assert.deepEqual(readGrantable('1 call within 60 s'), { calls: 1, seconds: 60 });
  for (const text of [
    '',
    '20',
    '0 calls within 4 h',
    '1001 calls within 1 h',
    '1 calls within 25 h',
    '-1 calls within 1 h',
    '1e3 calls within 1 h',
    `${many} `,
    '20 calls within 4h',
    null,
    undefined,
  ])
    assert.equal(readGrantable(text), undefined, String(text));
});

/** @proves law-4.grant-policy */
test('all that asks has to allow it, the least counts, and the built-in rules never do', () => {
  const own3 = (permits: Of[], raisers: Of[] = []) => grantableOf(3, permits, raisers)?.calls;
  assert.equal(own3([policy({})]), undefined);
  assert.equal(own3([policy({}), policy({ grantable: many })]), 20, 'one that permits it is enough');
  assert.equal(own3([policy({ grantable: many }), policy({ tier: '3' })]), undefined);
  assert.equal(own3([policy({ grantable: many })], [policy({ tier: '3' })]), undefined);
  assert.equal(own3([policy({ grantable: many })], [policy({ tier: '3', grantable: few })]), 2);
  assert.equal(own3([policy({ grantable: many })], [policy({ tier: '2' })]), 20);
  const raised = (raisers: Of[]) => grantableOf(2, [policy({})], raisers)?.calls;
  assert.equal(raised([policy({ tier: '3', grantable: few })]), 2);
  assert.equal(raised([policy({ tier: '3', grantable: few }), policy({ tier: '3' })]), undefined);
  for (const id of ['gatehouse/flow#unknown-argument', 'gatehouse/baseline#unusual-call'])
    for (const tier of ['2', '3']) {
      assert.equal(own3([policy({ grantable: many })], [policy({ tier, grantable: many }, id)]), undefined, id);
      assert.equal(raised([policy({ tier: '3', grantable: many }), policy({ tier }, id)]), undefined, id);
    }
});

test('where it makes no sense it is refused with what to write', () => {
  const compiled = (cedar: string) => compilePolicies(shopWorkspace({ rules: cedar }));
  const raise = (annotations: string) => `${annotations} forbid(principal, action, resource);`;
  assert.ok(compiled(raise(`@tier("3") @grantable("${many}")`)));
  for (const wrong of ['@tier("3") @grantable("often")', `@grantable("${many}")`, `@tier("2") @grantable("${many}")`])
    assert.throws(
      () => compiled(raise(wrong)),
      ({ code, message }: GatehouseError) => code === 'policy.invalid' && /@grantable/.test(message),
    );
});

test('a decision that asks says how far it may be granted; one that does not says nothing', () => {
  const workspace = shopWorkspace({
    rules: `@tier("3") @grantable("${few}") forbid(principal, action == Gatehouse::Action::"shop/post_message", resource) when { context.arguments.text == "loud" };`,
  });
  const { agent, task } = workspace;
  const decide = (text: string) =>
    compilePolicies(workspace).decide({
      agent,
      task,
      tool: workspace.tool('post_message'),
      arguments: { channel: 'support', text },
      situation: unknownSituation(0),
    });
  assert.deepEqual(decide('loud').grantable, { calls: 2, seconds: 600 });
  assert.equal(decide('calm').grantable, undefined);
});

test('to let more be granted is a relaxation, and to let less is none', () => {
  const file = (cedar: string): PolicyManifest[] => [policyManifest.parse({ kind: 'Policy', name: 'p', cedar })];
  const why = (before: string, after: string) => relaxedPolicies(file(before), file(after)).map((each) => each.why);
  for (const [effect, tier] of [
    ['forbid', '@tier("3")'],
    ['permit', ''],
  ]) {
    const written = (grantable: string) => `@id("a") ${tier} ${grantable} ${effect}(principal, action, resource);`;
    const [none, less, more] = [written(''), written(`@grantable("${few}")`), written(`@grantable("${many}")`)];
    assert.equal(why(none, less).length, 1, effect);
    assert.equal(why(less, more).length, 1, effect);
    assert.deepEqual([why(more, less), why(more, none), why(less, less)], [[], [], []], effect);
  }
  const entry = { tools: ['shop/refund_order'] };
  const [least, most] = [
    { calls: 2, seconds: 600 },
    { calls: 2, seconds: 601 },
  ];
  assert.deepEqual(relaxedAllow([entry], [{ ...entry, grantable: least }]), [
    'standing grants may cover 2 calls of shop/refund_order within 600 s',
  ]);
  assert.equal(relaxedAllow([{ ...entry, grantable: least }], [{ ...entry, grantable: most }]).length, 1);
  assert.deepEqual(relaxedAllow([{ ...entry, grantable: most }], [{ ...entry, grantable: least }]), []);
  assert.deepEqual(relaxedAllow([{ ...entry, grantable: most }], [entry]), []);
});
