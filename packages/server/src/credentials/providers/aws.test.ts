import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AwsSource, type AwsStatement, narrowScope, sessionPolicyOf } from '@gatehouse/protocol';
import fc from 'fast-check';
import { createOutbound, GatehouseError, Secret } from '../../platform/index.ts';
import { NotMade } from '../leases/types.ts';
import { openAwsProvider } from './aws.ts';

const source = (allow: AwsStatement[]): AwsSource => ({
  ...{ type: 'aws', role: 'arn:aws:iam::123456789012:role/agents', region: 'eu-central-1', allow },
  ...{ audience: 'sts.amazonaws.com', url: 'http://127.0.0.1:1/', allowPrivateAddress: true },
});
const one = (action: string, resource: string): AwsStatement[] => [{ actions: [action], resources: [resource] }];
const problemOf = (allowed: AwsStatement[], asked: AwsStatement[]) =>
  (narrowScope(source(allowed), { allow: asked }) as { problem?: string }).problem;

/**
 * What a policy allows, found out another way than narrowing does: patterns are tried on texts. `wide`: as if `*` always went over colons;
 * otherwise only where it ends a part of the ARN. AWS says that it may do either.
 */
function allows(policy: string, action: string, resource: string, wide: boolean): boolean {
  const { Statement } = JSON.parse(policy) as { Statement: { Effect: string; Action: string[]; Resource: string[] }[] };
  return Statement.some(
    ({ Effect, Action, Resource }) =>
      Effect === 'Allow' &&
      Action.some((each) => matches(each.toLowerCase(), action.toLowerCase(), true)) &&
      Resource.some((each) => matches(each, resource, wide)),
  );
}
function matches(pattern: string, text: string, wide: boolean): boolean {
  if (pattern === '') return text === '';
  const [first = '', ...rest] = pattern;
  const left = rest.join('');
  if (first === '*') {
    const stays = !wide && left !== '' && !left.startsWith(':') && !left.startsWith('*');
    if (matches(left, text, wide)) return true;
    return text !== '' && !(stays && text.startsWith(':')) && matches(pattern, text.slice(1), wide);
  }
  if (text === '') return false;
  if (first === '?') return (wide || text[0] !== ':') && matches(left, text.slice(1), wide);
  return first === text[0] && matches(left, text.slice(1), wide);
}

const piece = fc.constantFrom('a', 'b', '/', ':', '*', '?', '*', 'a');
const resource = fc.array(piece, { maxLength: 6 }).map((all) => `arn:aws:s3:${all.join('')}`);
const action = fc.array(fc.constantFrom('G', 'e', 'g', '*', '?'), { minLength: 1, maxLength: 4 });
const statement: fc.Arbitrary<AwsStatement> = fc.record({
  actions: fc.array(
    action.map((all) => `s3:${all.join('')}`),
    { minLength: 1, maxLength: 2 },
  ),
  resources: fc.array(
    fc.oneof(
      { weight: 4, arbitrary: resource.filter((each) => each !== 'arn:aws:s3:') },
      { weight: 1, arbitrary: fc.constant('*') },
    ),
    { minLength: 1, maxLength: 2 },
  ),
});
const statements = fc.array(statement, { minLength: 1, maxLength: 2 });
const call = fc.record({
  action: fc.array(fc.constantFrom('G', 'e', 'x'), { minLength: 1, maxLength: 4 }).map((all) => `s3:${all.join('')}`),
  resource: fc.array(fc.constantFrom('a', 'b', '/', ':'), { maxLength: 6 }).map((all) => `arn:aws:s3:${all.join('')}`),
});

/** @proves lease.narrow-aws */
test('issued is within asked, and asked within allowed, whatever the patterns are and however AWS reads them', () => {
  let issued = 0;
  fc.assert(
    fc.property(statements, statements, fc.array(call, { minLength: 20, maxLength: 20 }), (allowed, extra, calls) => {
      // Half of what is asked for is made from what is allowed, or hardly anything would be issued.
      const asked = extra.map((each, at) => ({ ...each, ...(at === 0 && { actions: allowed[0]?.actions ?? [] }) }));
      for (const wanted of [asked, allowed]) {
        const narrowed = narrowScope(source(allowed), { allow: wanted });
        if (!('scope' in narrowed)) continue;
        issued++;
        const policy = sessionPolicyOf(narrowed.scope.allow as AwsStatement[]);
        for (const each of calls)
          for (const wide of [true, false])
            if (allows(policy, each.action, each.resource, wide)) {
              assert.ok(allows(sessionPolicyOf(wanted), each.action, each.resource, wide), 'beyond what was asked');
              assert.ok(allows(sessionPolicyOf(allowed), each.action, each.resource, wide), 'beyond what is allowed');
            }
      }
    }),
    { numRuns: 400 },
  );
  assert.ok(issued > 400, 'what is allowed can be asked for');
});

/** @proves lease.narrow-aws */
test('what a tool server asks for and what a template gives meet in what is within both', () => {
  let left = 0;
  fc.assert(
    fc.property(statements, statements, fc.array(call, { minLength: 20, maxLength: 20 }), (asked, given, calls) => {
      const everything = source([...asked, ...given]);
      const narrowed = narrowScope(everything, { allow: asked }, [{ allow: given }]);
      if (!('scope' in narrowed)) return;
      left++;
      const policy = sessionPolicyOf(narrowed.scope.allow as AwsStatement[]);
      for (const each of calls)
        for (const wide of [true, false])
          if (allows(policy, each.action, each.resource, wide))
            for (const most of [asked, given])
              assert.ok(allows(sessionPolicyOf(most), each.action, each.resource, wide));
    }),
    { numRuns: 400 },
  );
  assert.ok(left > 20);
});

test('what is within is issued, and what cannot be said to be is refused in words', () => {
  const bucket = 'arn:aws:s3:::reports';
  const within: [string, string, string, string][] = [
    ['s3:Get*', `${bucket}/*`, 's3:GetObject', `${bucket}/2026/*`],
    ['s3:Get*', `${bucket}/*`, 's3:getobject*', `${bucket}/a?.csv`],
    ['s3:*', '*', 's3:PutObject', `${bucket}/x`],
    ['s3:GetObject', 'arn:aws:s3:::*-reports/*', 's3:GetObject', 'arn:aws:s3:::eu-reports/*'],
    ['sqs:SendMessage', 'arn:aws:sqs:*:123456789012:x', 'sqs:SendMessage', 'arn:aws:sqs:eu-central-1:123456789012:x'],
  ];
  for (const [action, on, askedAction, askedOn] of within)
    assert.equal(problemOf(one(action, on), one(askedAction, askedOn)), undefined, `${askedAction} ${askedOn}`);
  const beyond: [string, string, string, string][] = [
    ['s3:Get*', `${bucket}/*`, 's3:*', `${bucket}/x`],
    ['s3:GetObject', `${bucket}/*`, 's3:GetObject', bucket],
    ['s3:GetObject', `${bucket}/?`, 's3:GetObject', `${bucket}/*`],
    ['s3:GetObject', `${bucket}/a*b`, 's3:GetObject', `${bucket}/a*`],
    ['s3:GetObject', `${bucket}/*`, 's3:GetObject', 'arn:aws:s3:::report?/*'],
    ['s3:GetObject', `${bucket}/*`, 'dynamodb:GetItem', `${bucket}/x`],
    ['s3:GetObject', 'arn:aws:s3:::a*z/x', 's3:GetObject', 'arn:aws:s3:::a:z/x'],
  ];
  for (const [action, on, askedAction, askedOn] of beyond)
    assert.match(problemOf(one(action, on), one(askedAction, askedOn)) ?? '', /issues no/, `${askedAction} ${askedOn}`);
  for (const out of ['sts:AssumeRole', 'sts:*', '*', '*:*'])
    assert.match(problemOf(one('s3:*', '*'), one(out, '*')) ?? '', /at `allow\.0\.actions\.0`/);
  assert.match(problemOf(one('s3:*', '*'), one('s3:*', `arn:aws:s3:::x/\${aws:username}/*`)) ?? '', /is an ARN/);
  const many = Array.from({ length: 60 }, (_, at) => `arn:aws:s3:::reports/of-somebody/${at}/*`);
  assert.match(
    problemOf(one('s3:*', '*'), [{ actions: ['s3:GetObject'], resources: many }]) ?? '',
    /would have \d+ characters, and AWS takes 2048/,
  );
});

test('a refusal is told in words and leaves nothing to end; an answer that is lost leaves what ends by itself', async () => {
  let answer = { status: 400, body: '' };
  const now = Date.now();
  const provider = openAwsProvider(source(one('s3:*', '*')), {
    identityToken: async () => new Secret('token'),
    cloudAuthority: {
      certificate: () => Promise.reject(new Error('not asked for')),
      anchors: () => Promise.reject(new Error('not asked for')),
    },
    outbound: { ...createOutbound(), fetch: async () => ({ ...answer, headers: {}, body: Buffer.from(answer.body) }) },
    clock: { now: () => now },
    environment: 'production',
  });
  const error = (code: string, message = 'no') =>
    `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`;
  const order = {
    ...{ lease: 'lse_1', name: 'gh_1', scope: {}, expiresAt: now + 60_000 },
    ...{ environment: 'production', agent: 'agent-a', task: 'tsk_1' },
  };
  const create = () => provider.create(order, AbortSignal.timeout(5_000));
  for (const [status, code, words] of [
    [403, 'AccessDenied', /trust policy allow sts:AssumeRoleWithWebIdentity, sts:TagSession and sts:SetSourceIdentity/],
    [400, 'PackedPolicyTooLarge', /more than AWS packs into a session/],
    [400, 'InvalidIdentityToken', /identity provider for the issuer/],
  ] as const) {
    answer = { status, body: error(code) };
    await assert.rejects(create(), (refusal) => refusal instanceof NotMade && words.test(refusal.message));
  }
  for (const lost of [
    { status: 502, body: '<html>' },
    { status: 200, body: '<x/>' },
    { status: 403, body: 'a proxy' },
  ]) {
    answer = lost;
    await assert.rejects(
      create(),
      (failure) =>
        failure instanceof GatehouseError && !(failure instanceof NotMade) && failure.code === 'provider.answer',
    );
  }
  const left = { lease: 'lse_1', name: 'gh_1', scope: {}, expiresAt: now + 60_000, makingUntil: now + 10_000 };
  const remaining = await provider.revoke({ ...left, revocation: null }, AbortSignal.timeout(5_000));
  assert.equal(remaining?.until, now + 10_000 + 3_600_000 + 60_000);
  assert.equal(
    await provider.revoke({ ...left, makingUntil: now - 3_660_000, revocation: null }, AbortSignal.timeout(5_000)),
    undefined,
  );
});
