import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Manifest, type ManifestInput, manifest, type PolicyTestFile, policyTestFile } from '@gatehouse/protocol';
import { differenceOf } from './diff/index.ts';
import { runTests } from './run-tests.ts';
import { authoredFrom } from './workspace.ts';

const definitions = { kind: 'ToolDefinitions', servers: {} } as const;
const provider = (name: string, more: object): ManifestInput => ({
  kind: 'CredentialProvider',
  name,
  environments: ['production'],
  from: {
    type: 'postgres',
    url: 'postgres://broker@db.example.test/shop',
    secret: 'orders-broker',
    grants: [{ tables: ['orders', 'refunds'], privileges: ['SELECT'] }],
  },
  ...more,
});
const cloud: ManifestInput = {
  kind: 'CredentialProvider',
  name: 'cloud',
  environments: ['production'],
  direct: { tier: 1, maxSeconds: 900 },
  from: {
    type: 'aws',
    role: 'arn:aws:iam::123456789012:role/reports',
    region: 'eu-central-1',
    allow: [{ actions: ['s3:GetObject'], resources: ['*'] }],
  },
};
const parsed = (...inputs: ManifestInput[]): Manifest[] => inputs.map((each) => manifest.parse(each));
const base = (direct: object | undefined, cap: number): Manifest[] =>
  parsed(
    { kind: 'Environment', name: 'production' },
    { kind: 'Blueprint', name: 'reports', templates: ['report'] },
    provider('orders', direct ? { direct } : {}),
    cloud,
    {
      kind: 'Template',
      name: 'report',
      parameters: { table: { type: 'string' } },
      allow: [],
      credentials: [
        { provider: 'orders', direct: true, scope: { grants: [{ tables: ['$table'], privileges: ['SELECT'] }] } },
        { provider: 'cloud', direct: true, scope: {} },
      ],
    },
    {
      kind: 'Policy',
      name: 'short',
      cedar: `@id("cap") forbid (principal, action == Gatehouse::Action::"orders#credential", resource) when { context.arguments.seconds > ${cap} };
@id("night") forbid (principal, action == Gatehouse::Action::"cloud#credential", resource) when { context.arguments.seconds < 900 };`,
    },
  );

/** @proves direct.explained */
test('policy tests decide hand-outs without a server, with the scope and the life that they would have', () => {
  const content: PolicyTestFile = policyTestFile.parse({
    given: { template: 'report', parameters: { table: 'orders' } },
    tests: [
      {
        name: 'a short one',
        tool: 'orders#credential',
        arguments: { seconds: 300 },
        expect: { decision: 'allow', tier: 2 },
      },
      {
        name: 'a long one',
        tool: 'orders#credential',
        arguments: { seconds: 301 },
        expect: { decision: 'deny', policies: ['short#cap'] },
      },
      {
        name: 'of another table',
        tool: 'orders#credential',
        parameters: { table: 'salaries' },
        expect: { decision: 'deny', code: 'credential.scope' },
      },
      {
        name: 'with everything read',
        tool: 'orders#credential',
        arguments: { seconds: 60 },
        situation: { untrusted: true, sensitive: ['personal'] },
        expect: 'needs-approval',
      },
      // AWS gives none for less than 900 s, whatever is asked for.
      { name: 'of a cloud', tool: 'cloud#credential', arguments: { seconds: 60 }, expect: 'allow' },
      { name: 'of none', tool: 'nothing#credential', expect: { decision: 'deny', code: 'provider.unknown' } },
    ],
  });
  const { results, coverage } = runTests(authoredFrom(base({ tier: 2 }, 300), definitions), [
    { file: 'a.test.yaml', content, lineOf: (at) => at },
  ]);
  assert.deepEqual(
    results.flatMap(({ name, problem }) => (problem === null ? [] : [`${name}: ${problem}`])),
    [],
  );
  assert.deepEqual(
    coverage.find(({ policy }) => policy === 'short#cap'),
    { policy: 'short#cap', applied: 1, heldBack: 2 },
  );
});

/** @proves direct.explained */
test('what a change hands out more or less is shown with requests that are answered otherwise', () => {
  const given = (direct: object | undefined, cap: number) => ({ manifests: base(direct, cap), definitions });
  const wider = differenceOf(given({ tier: 2 }, 300), given({ tier: 2 }, 400));
  const [policy] = wider.changes;
  assert.deepEqual([policy?.name, policy?.permits], ['short', 'more']);
  assert.equal(policy?.examples[0]?.call.tool, 'orders#credential');
  assert.deepEqual([policy?.examples[0]?.before.decision, policy?.examples[0]?.after.decision], ['deny', 'allow']);

  const asked = differenceOf(given({ tier: 2 }, 300), given({ tier: 3, perTask: 5 }, 300));
  const [change] = asked.changes;
  assert.deepEqual([change?.kind, change?.permits], ['CredentialProvider', 'less']);
  assert.match(change?.effects[0]?.words ?? '', /made for a task: 10 → 5/);
  assert.equal(change?.examples[0]?.after.decision, 'needs-approval');

  const plain = (direct: object | undefined) => ({
    manifests: base(direct, 300).filter(({ kind }) => kind !== 'Policy'),
    definitions,
  });
  const off = differenceOf(plain({ tier: 2 }), plain(undefined));
  assert.ok(off.changes.some(({ kind, permits }) => kind === 'CredentialProvider' && permits === 'less'));
  // What only tool servers get is no request of anybody.
  assert.equal(differenceOf(plain(undefined), plain(undefined)).same, true);
});
