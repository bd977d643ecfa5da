import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trustRuleManifest } from '@gatehouse/protocol';
import { lintTrustRule } from './lint.ts';

const codes = (issuer: object, claims: object, change: object = {}) =>
  lintTrustRule(trustRuleManifest.parse({ kind: 'TrustRule', name: 'r', agent: 'a', issuer, claims, ...change })).map(
    ({ code }) => code,
  );
const github = { type: 'oidc', preset: 'github-actions' };
const gitlab = { type: 'oidc', preset: 'gitlab', url: 'https://gitlab.example' };
const oidc = { type: 'oidc', url: 'https://issuer.example' };
const azure = (tenant: string) => ({
  type: 'oidc',
  preset: 'azure',
  url: `https://login.microsoftonline.com/${tenant}/v2.0`,
});

/** @proves federation.lint */
test('lint says what is unwise in a rule, and nothing of one that is exact', () => {
  for (const [expected, ...given] of [
    [[], github, { sub: 'repo:acme/web:environment:production', repository_id: '74' }],
    [['github-id'], github, { sub: 'repo:acme/web:environment:production' }],
    [['github-ref', 'github-id'], github, { repository: 'acme/web' }],
    [['pattern', 'github-ref', 'github-id'], github, { sub: { pattern: 'repo:acme/web:*' } }],
    [
      ['pattern', 'pattern-any', 'pattern-across', 'github-owner', 'github-ref', 'github-id'],
      github,
      { sub: { pattern: '**' } },
    ],
    [['github-pull-request'], github, { sub: 'repo:acme/web:pull_request', repository_id: '74' }],
    [['github-pull-request'], github, { sub: 'repo:a/b:ref:x', repository_id: '1', event_name: 'pull_request' }],
    [['gitlab-ref'], gitlab, { project_path: 'acme/web' }],
    [[], gitlab, { project_path: 'acme/web', ref_protected: 'true' }],
    [[], oidc, { sub: 'x' }],
    [['pattern', 'pattern-start'], oidc, { sub: { pattern: '*-prod' } }],
    [['audience'], oidc, { sub: 'x' }, { audience: 'api://other' }],
    [['max-age'], oidc, { sub: 'x' }, { maxAgeSeconds: 86_400 }],
    [['private-address'], { ...oidc, allowPrivateAddress: true }, { sub: 'x' }],
    [['static-keys'], { ...oidc, jwks: { keys: [{ kty: 'EC' }] } }, { sub: 'x' }],
    [['azure-tenant'], azure('common'), { sub: 'x' }],
    [[], azure('00000000-0000-0000-0000-0000000000b1'), { sub: 'x' }],
    [['aws-role'], { type: 'aws-iam' }, { account: '123456789012', role: 'r' }],
    [['aws-endpoint'], { type: 'aws-iam', endpoint: 'https://sts.example' }, { arn: 'x' }],
  ] as [string[], object, object, object?][])
    assert.deepEqual(codes(...(given as [object, object])).sort(), [...expected].sort(), JSON.stringify(given));
});
