import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Json, saltedDigest } from '../platform/index.ts';
import { approvalChallenge, digestedForm, sameAction, subjectDigest } from './subject.ts';
import type { ApprovalSubject } from './types.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 30 });
const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
const salt = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('base64url'));
const fields: { [K in keyof ApprovalSubject]: fc.Arbitrary<ApprovalSubject[K]> } = {
  agent: text,
  agentEpoch: fc.nat(),
  task: text,
  operation: text,
  tool: text,
  toolDefinition: text,
  arguments: json,
  argumentsSalt: salt,
  policyVersion: text,
  delegated: fc.option(
    fc.record({
      user: fc.option(text),
      chain: fc.array(fc.record({ agent: text, agentEpoch: fc.nat(), task: text }), { maxLength: 3 }),
      narrowing: fc.array(fc.array(text, { maxLength: 2 }), { maxLength: 2 }),
    }),
  ),
};
const anySubject = fc.record(fields) as fc.Arbitrary<ApprovalSubject>;
const canonical = (value: unknown) => JSON.stringify(value, (_, inner) => (Object.is(inner, -0) ? 0 : inner));

/** @proves law-4.exact */
test('a subject with any one field changed is another action', () => {
  for (const field of Object.keys(fields) as (keyof ApprovalSubject)[]) {
    fc.assert(
      fc.property(anySubject, fields[field] as fc.Arbitrary<never>, (subject, value) => {
        fc.pre(canonical(subject[field]) !== canonical(value));
        assert.notEqual(subjectDigest({ ...subject, [field]: value }), subjectDigest(subject));
      }),
      { numRuns: 200 },
    );
  }
});

/** @proves law-4.exact */
test('so it is in approvals from before arguments were salted', () => {
  for (const field of Object.keys(fields) as (keyof ApprovalSubject)[]) {
    if (field === 'argumentsSalt') continue;
    fc.assert(
      fc.property(anySubject, fields[field] as fc.Arbitrary<never>, ({ argumentsSalt: _, ...subject }, value) => {
        fc.pre(canonical(subject[field]) !== canonical(value));
        assert.notEqual(subjectDigest({ ...subject, [field]: value }), subjectDigest(subject));
      }),
      { numRuns: 100 },
    );
  }
});

/** @proves approval.salted */
test('what is left of erased arguments is still what was signed, and holds neither them nor anything to guess them by', () => {
  fc.assert(
    fc.property(anySubject, salt, ({ argumentsSalt: own = '', ...subject }, other) => {
      fc.pre(own !== other);
      const signed = { ...subject, argumentsSalt: own };
      const left = { ...subject, arguments: null, argumentsDigest: saltedDigest(subject.arguments, own) };
      assert.equal(subjectDigest(left), subjectDigest(signed));
      assert.equal('arguments' in digestedForm(signed), false);
      const again = { ...signed, argumentsSalt: other };
      assert.notEqual(subjectDigest(again), subjectDigest(signed), 'the same action twice');
      assert.equal(sameAction(again), sameAction(signed));
      assert.throws(() => subjectDigest({ ...signed, argumentsSalt: own.slice(4) }), RangeError);
    }),
    { numRuns: 100 },
  );
});

test('a change anywhere inside the arguments is another action', () => {
  const subject = (args: Json): ApprovalSubject => ({
    agent: 'a',
    agentEpoch: 1,
    task: 't',
    operation: 'tools/call',
    tool: 's/t',
    toolDefinition: 'd',
    arguments: args,
    argumentsSalt: Buffer.alloc(16).toString('base64url'),
    policyVersion: 'p',
    delegated: null,
  });
  const asked = { to: 'a@example.test', amount: 40, items: [{ id: '1', note: 'x' }] };
  const other: Json[] = [
    { ...asked, amount: 400 },
    { ...asked, amount: '40' },
    { ...asked, amount: 40.000001 },
    { ...asked, to: 'a@example.test ' },
    { ...asked, to: 'а@example.test' },
    { ...asked, items: [{ id: '1' }] },
    { ...asked, items: [{ id: '1', note: 'x' }, null] },
    { ...asked, extra: null },
    [asked],
    null,
  ];
  const digests = new Set([asked, ...other].map((args) => subjectDigest(subject(args))));
  assert.equal(digests.size, other.length + 1);
});

test('the order in which members were written makes no difference', () => {
  fc.assert(
    fc.property(anySubject, (subject) => {
      const reversed = Object.fromEntries(Object.entries(subject).reverse()) as unknown as ApprovalSubject;
      assert.equal(subjectDigest(reversed), subjectDigest(subject));
    }),
  );
});

test('what the passkey signs is different for every approval, even of the same action', () => {
  const digest = `sha256-${'0'.repeat(64)}`;
  assert.equal(approvalChallenge('apr_1', digest).byteLength, 32);
  assert.notDeepEqual(approvalChallenge('apr_1', digest), approvalChallenge('apr_2', digest));
  assert.notDeepEqual(approvalChallenge('apr_1', digest), approvalChallenge('apr_1', `sha256-${'1'.repeat(64)}`));
});
