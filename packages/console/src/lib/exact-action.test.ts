import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Approval } from '@gatehouse/protocol';
import fc from 'fast-check';
import { approvalChallenge, subjectDigest } from '../../../server/src/approvals/subject.ts';
import { proposalChallenge as serversProposalChallenge } from '../../../server/src/governance/second-person/proposal-rows.ts';
import { challengeOf as challengeOfConfirmation } from '../../../server/src/identity/consent/confirmations.ts';
import { challengeOf } from '../../../server/src/identity/consent/consents.ts';
import { canonicalJson as serversCanonicalJson } from '../../../server/src/platform/json.ts';
import {
  actionDigest,
  canonicalJson,
  confirmationChallenge,
  consentChallenge,
  listOf,
  proposalChallenge,
  signsExactly,
  signsExactlyTheseOf,
} from './exact-action.ts';

const action = {
  agent: 'agent-support-refunds-prod',
  agentEpoch: 3,
  task: 'tsk_01',
  operation: 'tools/call',
  tool: 'shop/refund_order',
  toolDefinition: 'sha256-aa',
  arguments: { order: 1042, amount_cents: 4000, reason: 'arrived broken “€”' },
};
const delegated = {
  user: 'z@example.test',
  chain: [{ agent: 'agent-planner', agentEpoch: 1, task: 'tsk_00' }],
  narrowing: [['shop/*']],
};
const digest = subjectDigest({ ...action, policyVersion: 'sha256-bb', delegated });
const approval = {
  ...action,
  id: 'apr_01',
  digest,
  delegated,
  decision: { effect: 'needs-approval', tier: 3, code: '', reason: '', policies: [], policyVersion: 'sha256-bb' },
} as unknown as Approval;
const challenge = Buffer.from(approvalChallenge('apr_01', digest)).toString('base64url');

test('the console computes the digest and the challenge that the server asks to be signed', async () => {
  assert.equal(await actionDigest(approval), digest);
  assert.equal(await signsExactly(approval, challenge), true);
  const repeats = 'act_01';
  const repeated = subjectDigest({ ...action, policyVersion: 'sha256-bb', delegated, repeats });
  assert.notEqual(repeated, digest);
  assert.equal(await actionDigest({ ...approval, repeats }), repeated);
});

/** @proves approval.salted */
test('the console computes the digest from the arguments and the salt that it shows', async () => {
  const argumentsSalt = Buffer.alloc(16, 7).toString('base64url');
  const more = { policyVersion: 'sha256-bb', delegated };
  const salted = subjectDigest({ ...action, ...more, argumentsSalt });
  const shown = { ...approval, argumentsSalt, digest: salted };
  assert.equal(await actionDigest(shown), salted);
  const signs = (id: string) => Buffer.from(approvalChallenge(id, salted)).toString('base64url');
  assert.equal(await signsExactly(shown, signs('apr_01')), true);
  const rule = { name: 'r', steps: [], order: 'parallel', deny: 1, exclude: [], escalate: [] };
  const asked = { rules: [rule], repeats: 'act_01' } as unknown as Pick<Approval, 'rules' | 'repeats'>;
  assert.equal(
    await actionDigest({ ...shown, ...asked }),
    subjectDigest({ ...action, ...more, argumentsSalt, ...asked } as Parameters<typeof subjectDigest>[0]),
  );
  for (const change of [
    { arguments: { ...action.arguments, order: 1 } },
    { argumentsSalt: Buffer.alloc(16, 8).toString('base64url') },
    { argumentsSalt: Buffer.alloc(15, 7).toString('base64url') },
  ])
    assert.equal(await signsExactly({ ...shown, ...change }, signs('apr_01')), false, JSON.stringify(change));
  const argumentsDigest = `sha256-${createHash('sha256').update(Buffer.alloc(16, 7)).update(canonicalJson(action.arguments)).digest('hex')}`;
  const { argumentsSalt: _, ...rest } = shown;
  const erased = { ...rest, arguments: null, argumentsDigest };
  assert.equal(await actionDigest({ ...erased, state: 'consumed' }), salted, 'erased');
  assert.equal(await signsExactly({ ...erased, state: 'consumed' }, signs('apr_01')), false);
});

/** @proves approval.salted */
test('the console signs for no arguments whose digest it was told instead of their salt', async () => {
  const argumentsSalt = Buffer.alloc(16, 7).toString('base64url');
  const more = { policyVersion: 'sha256-bb', delegated };
  const paid = { to: 'mallory', amount: 1_000_000 };
  const salted = subjectDigest({ ...action, ...more, arguments: paid, argumentsSalt });
  const argumentsDigest = `sha256-${createHash('sha256').update(Buffer.alloc(16, 7)).update(canonicalJson(paid)).digest('hex')}`;
  const told = { ...approval, digest: salted, argumentsDigest };
  const signs = Buffer.from(approvalChallenge('apr_01', salted)).toString('base64url');
  const list = createHash('sha256')
    .update(canonicalJson({ v: 3, approvals: listOf([told]) }))
    .digest('base64url');
  assert.equal(await signsExactlyTheseOf([{ ...told, arguments: paid, argumentsSalt }], list), true);
  for (const state of ['pending', 'approved', 'consumed'] as const)
    for (const args of [{ to: 'alice', amount: 1 }, paid, null] as Approval['arguments'][]) {
      const shown = { ...told, state, arguments: args };
      assert.equal(await signsExactly(shown, signs), false, JSON.stringify([state, args]));
      assert.equal(await signsExactlyTheseOf([shown], list), false, JSON.stringify([state, args]));
      assert.equal((await actionDigest(shown)) === salted, args === null && state !== 'pending');
    }
});

test('the console computes the challenge for an answer to a request for consent, in which every part counts', async () => {
  const answer = {
    agent: 'agent-support-prod',
    template: 'by-order',
    digest: 'sha256-aa',
    parameters: { order: 1042, note: '“€”' },
    intent: 'look',
    tools: ['shop/list_orders', 'shop/refund_order'],
    ttlSeconds: 600,
    standing: { days: 7 },
  };
  const mine = await consentChallenge('backchannel-1', answer);
  assert.equal(Buffer.from(challengeOf('backchannel-1', answer)).toString('base64url'), mine);
  assert.notEqual(await consentChallenge('backchannel-2', answer), mine);
  const others = [
    { ...answer, parameters: { ...answer.parameters, order: 1043 } },
    { ...answer, intent: 'refund' },
    { ...answer, tools: answer.tools.slice(1) },
    { ...answer, ttlSeconds: 601 },
    { ...answer, standing: { days: 8 } },
  ];
  for (const other of others) assert.notEqual(await consentChallenge('backchannel-1', other), mine);
});

test('the console computes the challenge for what the command line asks for', async () => {
  const mine = await confirmationChallenge('cfm_1', 'sha256-aa');
  assert.equal(Buffer.from(challengeOfConfirmation('cfm_1', 'sha256-aa')).toString('base64url'), mine);
  assert.notEqual(await confirmationChallenge('cfm_2', 'sha256-aa'), mine);
  assert.notEqual(await confirmationChallenge('cfm_1', 'sha256-ab'), mine);
});

test('an action that differs from the signed one in any field is refused before the passkey is asked', async () => {
  const changed: Partial<Approval>[] = [
    { agent: 'agent-other' },
    { agentEpoch: 4 },
    { task: 'tsk_02' },
    { operation: 'resources/read' },
    { tool: 'shop/export_customers' },
    { toolDefinition: 'sha256-ab' },
    { arguments: { ...action.arguments, amount_cents: 40000 } },
    { arguments: { ...action.arguments, extra: null } },
    { decision: { ...approval.decision, policyVersion: 'sha256-bc' } },
    { delegated: null },
    { delegated: { ...delegated, user: null } },
    { delegated: { ...delegated, chain: [] } },
    { delegated: { ...delegated, narrowing: [] } },
    { id: 'apr_02' },
    { digest: digest.replace(/.$/, '0') },
  ];
  for (const change of changed)
    assert.equal(await signsExactly({ ...approval, ...change }, challenge), false, JSON.stringify(change));
});

test('a challenge for another approval of the same action is refused', async () => {
  const other = Buffer.from(approvalChallenge('apr_99', digest)).toString('base64url');
  assert.equal(await signsExactly(approval, other), false);
});

test('any JSON value has the same canonical form here as on the server (RFC 8785)', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      assert.equal(canonicalJson(value), serversCanonicalJson(value));
    }),
  );
});

test('the console computes the challenge for a proposed change, in which its number and digest count', async () => {
  const mine = await proposalChallenge(12, digest);
  assert.equal(Buffer.from(serversProposalChallenge(12, digest)).toString('base64url'), mine);
  assert.notEqual(await proposalChallenge(13, digest), mine);
  assert.notEqual(await proposalChallenge(12, 'sha256-bb'), mine);
});
