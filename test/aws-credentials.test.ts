import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { AwsSource, ManifestInput } from '@gatehouse/protocol';
import { createSvidSource } from '@gatehouse/sdk/svid';
import { createSession } from '../packages/server/src/credentials/providers/aws-roles-anywhere.ts';
import { createOutbound } from '../packages/server/src/platform/index.ts';
import { type FakeRolesAnywhere, startFakeRolesAnywhere } from './fakes/aws-roles-anywhere.ts';
import { type FakeSts, startFakeSts } from './fakes/aws-sts.ts';
import { type CredentialScene, startCredentialScene, until } from './support/credential-scene.ts';
import type { ForeignServer } from './support/foreign-server.ts';
import { startMoto } from './support/moto.ts';

/** Law 3 with AWS: a tool server uses AWS's own SDK with a session of the task's own. moto is STS and S3; what it doesn't check of the token the fake before it does. */
const moto = await startMoto();

describe('tools that call AWS', { skip: moto ? false : 'moto is missing: see above' }, () => {
  let sts: FakeSts;
  let anywhere: FakeRolesAnywhere;
  const own = { root: undefined as never as X509Certificate, spiffeId: 'spiffe://example.test/gatehouse' };
  let scene: CredentialScene;
  let from: object;
  let subject = 'spiffe://example.test/env/production/*';
  const trust = { issuer: '', audience: 'sts.amazonaws.com' };

  before(async () => {
    const { url } = moto as ForeignServer;
    anywhere = await startFakeRolesAnywhere(() => own);
    sts = await startFakeSts(url, () => ({ ...trust, subject }), anywhere);
    const anybody = { accessKeyId: 'x', secretAccessKey: 'x' };
    const s3 = new S3Client({ endpoint: url, region: 'eu-central-1', forcePathStyle: true, credentials: anybody });
    const CreateBucketConfiguration = { LocationConstraint: 'eu-central-1' as const };
    await s3.send(new CreateBucketCommand({ Bucket: 'reports', CreateBucketConfiguration }));
    from = {
      ...{ type: 'aws', role: 'arn:aws:iam::123456789012:role/agents', region: 'eu-central-1' },
      allow: [{ actions: ['s3:Get*', 's3:PutObject'], resources: ['arn:aws:s3:::reports/*'] }],
      ...{ url: sts.url, allowPrivateAddress: true },
    };
    scene = await startCredentialScene({
      from,
      scope: { allow: [{ actions: ['s3:GetObject', 's3:PutObject'], resources: ['arn:aws:s3:::reports/2026/*'] }] },
      env: {
        AWS_ACCESS_KEY_ID: '{accessKeyId}',
        AWS_SECRET_ACCESS_KEY: '{secretAccessKey}',
        AWS_SESSION_TOKEN: '{sessionToken}',
      },
      plainEnv: { AWS_ENDPOINT_URL: url, AWS_REGION: 'eu-central-1', HOME: '{workingDirectory}' },
    });
    trust.issuer = `${scene.workspace.url}/identity`;
  });
  after(async () => {
    await scene?.workspace.close();
    sts?.close();
    anywhere?.close();
    await moto?.close();
  });

  /** @proves lease.aws */
  test('a task’s tools call AWS with a session that is named, tagged and narrowed for it, and that a token of the agent’s identity got', async () => {
    const { task, client } = await scene.begin();
    assert.match(await scene.call(client, 's3', { text: 'put 2026/report.csv' }), /httpStatusCode/);
    assert.match(await scene.call(client, 's3', { text: 'get 2026/report.csv' }), /written/);
    const [lease] = await scene.leasesOf(task.id);
    assert.equal(sts.taken.length, 1, 'one for the whole task');
    const { claims, form } = sts.taken[0] as FakeSts['taken'][number];
    assert.equal(form.RoleSessionName, lease?.name);
    assert.equal(form.DurationSeconds, '900');
    assert.deepEqual(JSON.parse(form.Policy ?? ''), {
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Action: ['s3:GetObject', 's3:PutObject'], Resource: ['arn:aws:s3:::reports/2026/*'] },
      ],
    });
    assert.equal(claims.sub, 'spiffe://example.test/env/production/agent/agent-a');
    assert.equal(claims['https://aws.amazon.com/source_identity'], 'agent-a');
    assert.deepEqual(claims['https://aws.amazon.com/tags'], {
      principal_tags: {
        ...{ environment: ['production'], lease: [lease?.id], agent: ['agent-a'], task: [task.id] },
      },
      transitive_tag_keys: ['environment', 'lease', 'agent', 'task'],
    });

    // Nothing of it is in what anybody sees, or in a file of the house.
    const leak = await scene.call(client, 'leak');
    assert.match(leak, /AWS_SECRET_ACCESS_KEY\W+\[credential\]/);
    assert.match(leak, /AWS_SESSION_TOKEN\W+\[credential\]/);
    const token = form.WebIdentityToken ?? '';
    const files = readdirSync(scene.workspace.dataDir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
    assert.ok(!files.some((bytes) => bytes.includes(token)) && !leak.includes(token));
    await client.close();
    await task.end();
  });

  /** @proves lease.aws-remains */
  test('what AWS lets nobody end is said: by the lease, by kill, and in the record, until it is over', async () => {
    const { task, client } = await scene.begin('agent-b');
    await scene.call(client, 's3', { text: 'put 2026/b' });
    const [{ expiresAt = 0 } = {}] = await scene.leasesOf(task.id);
    const killed = await scene.workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: {} });
    assert.equal(killed.openLeases, 1);
    const residual = killed.residualSeconds ?? 0;
    assert.ok(residual > 800 && residual <= 900, String(residual));
    const remaining = async () => (await scene.leasesOf(task.id))[0];
    await until(async () => (await remaining())?.problem !== null);
    const lease = await remaining();
    assert.equal(lease?.state, 'revoking');
    assert.match(lease?.problem ?? '', /AWS ends no session before its time/);
    assert.ok(Math.abs((lease?.expiresAt ?? 0) - expiresAt) < 2_000);
    await scene.workspace.operator('POST /agents/:name/state', {
      params: { name: 'agent-b' },
      body: { state: 'active' },
    });
  });

  /** @proves lease.aws-remains */
  test('a session that AWS makes longer than its lease is said to work until AWS ends it, before and by a kill', async () => {
    const { apply, operator } = scene.workspace;
    const provider = { kind: 'CredentialProvider', name: 'system', environments: ['production'], from };
    await apply([{ ...provider, life: { defaultSeconds: 60, maxSeconds: 60 } } as ManifestInput]);
    const { task, client } = await scene.begin('agent-b');
    await scene.call(client, 's3', { text: 'put 2026/b' });
    const [lease] = await scene.leasesOf(task.id);
    assert.ok((lease?.expiresAt ?? 0) - (lease?.intendedAt ?? 0) <= 60_000);
    const works = (lease?.worksUntil ?? 0) - (lease?.intendedAt ?? 0);
    assert.ok(works > 890_000 && works < 930_000, String(works));
    const killed = await operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: {} });
    assert.ok((killed.residualSeconds ?? 0) > 800, String(killed.residualSeconds));
    await operator('POST /agents/:name/state', { params: { name: 'agent-b' }, body: { state: 'active' } });
    await apply([provider as ManifestInput]);
  });

  test('whom the role does not trust gets nothing, and is told what to look at', async () => {
    subject = 'spiffe://example.test/env/production/agent/agent-a';
    const { task, client } = await scene.begin('agent-b');
    const count = sts.taken.length;
    assert.match(await scene.call(client, 's3', { text: 'put 2026/b' }), /trust policy allow sts:AssumeRole/);
    assert.equal(sts.taken.length, count);
    assert.deepEqual(
      (await scene.leasesOf(task.id)).map(({ state }) => state),
      ['revoked'],
    );
    subject = 'spiffe://example.test/env/production/*';
    trust.audience = 'somebody-else';
    assert.match(await scene.call(client, 's3', { text: 'put 2026/b' }), /identity provider for the issuer/);
    trust.audience = 'sts.amazonaws.com';
    await task.end();
  });

  test('a provider says truthfully what it can do, and is tested with a session that nobody gets', async () => {
    const tested = await scene.workspace.operator('POST /providers/:name/test', { params: { name: 'system' } });
    assert.deepEqual(
      { ok: tested.ok, problem: tested.problem, revokeMs: tested.revokeMs },
      {
        ...{ ok: true, problem: null, revokeMs: null },
      },
    );
    assert.equal(sts.taken.at(-1)?.claims.sub, 'spiffe://example.test/env/production/gatehouse/test');
    const { items } = await scene.workspace.operator('GET /providers');
    assert.equal(items[0]?.ok, true);
    const { canNarrow, canRevoke, canEndSessions, maxResidualSeconds } = items[0]?.abilities ?? {};
    assert.deepEqual(
      { canNarrow, canRevoke, canEndSessions, maxResidualSeconds },
      {
        ...{ canNarrow: true, canRevoke: false, canEndSessions: false, maxResidualSeconds: null },
      },
    );
    assert.match(
      sts.taken.at(-1)?.form.Policy ?? '',
      /"Effect":"Deny"/,
      'being looked at takes a session that may do nothing',
    );
  });

  /** @proves lease.aws-certificate, clouds.own-authority */
  test('with Roles Anywhere Gatehouse proves itself by its certificate, and each session is narrowed and tagged as well', async () => {
    const { trustAnchor, profile, role } = anywhere;
    const apply = (source: object) =>
      scene.workspace.apply([
        { kind: 'CredentialProvider', name: 'system', environments: ['production'], from: source } as ManifestInput,
      ]);
    const settings = { ...from, rolesAnywhere: { trustAnchor, profile, role, url: anywhere.url } } as AwsSource;
    await apply(settings);
    // The root of the trust domain is not what AWS has to trust, though it was; what is, `gatehouse providers trust` prints before AWS does.
    const bundle = (await (await fetch(`${scene.workspace.url}/spiffe/bundle`)).json()) as {
      keys: { x5c?: string[] }[];
    };
    const [der = ''] = bundle.keys.flatMap(({ x5c = [] }) => x5c);
    own.root = new X509Certificate(Buffer.from(der, 'base64'));
    const [provider] = (await scene.workspace.operator('GET /providers')).items;
    assert.match(provider?.problem ?? '', /providers trust/);
    own.root = new X509Certificate(provider?.trust ?? '');
    const { task, client } = await scene.begin();
    assert.match(await scene.call(client, 's3', { text: 'put 2026/report.csv' }), /httpStatusCode/);
    const form = sts.chained.at(-1) ?? {};
    const [lease] = await scene.leasesOf(task.id);
    assert.deepEqual(
      [form.RoleArn, form.RoleSessionName, form.SourceIdentity],
      ['arn:aws:iam::123456789012:role/agents', lease?.name, 'agent-a'],
    );
    assert.match(form.Policy ?? '', /"s3:GetObject","s3:PutObject"\],"Resource":\["arn:aws:s3:::reports\/2026\/\*"\]/);
    const tags = Object.fromEntries(
      [1, 2, 3, 4].map((at) => [form[`Tags.member.${at}.Key`], form[`Tags.member.${at}.Value`]]),
    );
    assert.deepEqual(tags, { environment: 'production', lease: lease?.id, agent: 'agent-a', task: task.id });
    await task.end();

    // An agent's own certificate is of another authority: no condition of the role lets it in.
    const agent = await scene.workspace.agent('agent-a');
    const svids = createSvidSource({ url: scene.workspace.url, agent: 'agent-a', key: agent.key });
    const { certificates, privateKey, spiffeId } = await svids.x509();
    svids.close();
    own.spiffeId = spiffeId;
    const chain = certificates.map((each) => Buffer.from(each, 'base64'));
    const deps = { outbound: createOutbound(), clock: Date };
    await assert.rejects(createSession(settings, { chain, privateKey }, deps), /Untrusted certificate/);
    await assert.rejects(createSession(settings, { chain: [...chain, own.root.raw], privateKey }, deps), /Untrusted/);

    // A role that trusts somebody else gives nothing.
    own.spiffeId = 'spiffe://example.test/env/production/agent/agent-a';
    const second = await scene.begin();
    assert.match(await scene.call(second.client, 's3', { text: 'put 2026/b' }), /role does not trust this certificate/);
    assert.equal((await scene.leasesOf(second.task.id))[0]?.state, 'revoked');
    await second.task.end();
    await apply(from);
  });

  test('an answer that is lost leaves a session that nobody has, which counts until it has ended by itself', async () => {
    sts.trouble.answer = 'lost';
    const { task, client } = await scene.begin();
    assert.match(await scene.call(client, 's3', { text: 'get 2026/report.csv' }), /lease\.provider|outbound/);
    delete sts.trouble.answer;
    await until(async () => /answer was lost/.test((await scene.leasesOf(task.id))[0]?.problem ?? ''));
    assert.match(await scene.call(client, 's3', { text: 'get 2026/report.csv' }), /written/);
    await task.end();
  });
});
