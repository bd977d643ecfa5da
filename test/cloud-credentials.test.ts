import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type BucketRule, type CredentialSource, type GoogleCloudScope, narrowScope } from '@gatehouse/protocol';
import fc from 'fast-check';
import { startFakeAzure } from './fakes/azure.ts';
import { startFakeGoogleCloud } from './fakes/google-cloud.ts';
import { type CredentialScene, startCredentialScene, until } from './support/credential-scene.ts';

/** Law 3 with Google Cloud and Azure, fakes that look at Gatehouse's token as those document that they do. */
const env = { HTTP_HEADER: 'Authorization: Bearer {token}' };
const subjectOf = (agent: string) => `spiffe://example.test/env/production/agent/${agent}`;
const TESTED = 'spiffe://example.test/env/production/gatehouse/test';

async function remaining(scene: CredentialScene, task: string, why: RegExp): Promise<void> {
  await until(async () => why.test((await scene.leasesOf(task))[0]?.problem ?? ''));
  assert.equal((await scene.leasesOf(task))[0]?.state, 'revoking');
}
async function isTruthful({ workspace }: CredentialScene): Promise<void> {
  const tested = await workspace.operator('POST /providers/:name/test', { params: { name: 'system' } });
  assert.deepEqual([tested.ok, tested.problem, tested.revokeMs], [true, null, null]);
  const { items } = await workspace.operator('GET /providers');
  assert.equal(items[0]?.ok, true, items[0]?.problem ?? '');
  assert.deepEqual([items[0]?.abilities.canRevoke, items[0]?.abilities.maxResidualSeconds], [false, null]);
}

describe('tools that call Google Cloud', async () => {
  const trust = { issuer: '', impersonators: /agent-a$|gatehouse\/test$/ };
  const google = await startFakeGoogleCloud(() => trust);
  const scene = await startCredentialScene({
    from: {
      ...{ type: 'google-cloud', provider: google.provider, serviceAccount: google.serviceAccount },
      scopes: ['https://www.googleapis.com/auth/devstorage.read_write'],
      buckets: [{ bucket: 'reports', roles: ['roles/storage.objectViewer', 'roles/storage.objectCreator'] }],
      ...{ stsUrl: google.url, iamUrl: google.url, allowPrivateAddress: true },
    },
    scope: { buckets: [{ bucket: 'reports', roles: ['roles/storage.objectViewer'], prefix: '2026/' }] },
    env,
  });
  trust.issuer = `${scene.workspace.url}/identity`;
  after(async () => {
    await scene.workspace.close();
    google.close();
  });
  const object = (bucket: string, name: string) => `${google.url}/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}`;

  /** @proves lease.google-cloud */
  test('a token is got with the agent’s identity, reaches the objects that were asked for and nothing else, and ends with the lease', async () => {
    const { task, client } = await scene.begin();
    const http = (text: string) => scene.call(client, 'http', { text });
    assert.match(await http(`GET ${object('reports', '2026/a.csv')}`), /200 .*2026\/a\.csv/);
    assert.match(await http(`GET ${object('reports', '2025/a.csv')}`), /403/);
    assert.match(await http(`POST ${object('reports', '2026/a.csv')} x`), /403/);
    assert.match(await http(`GET ${object('salaries', '2026/a.csv')}`), /403/);
    assert.ok(Number.parseInt(google.lifetimes[0] ?? '', 10) <= 900);
    assert.match(await scene.call(client, 'leak'), /HTTP_HEADER\W+Authorization: Bearer \[credential\]/);
    await task.end();
    await remaining(scene, task.id, /Google ends no token before its time/);
  });

  test('who may not impersonate the service account, or comes from another issuer, gets nothing', async () => {
    const { task, client } = await scene.begin('agent-b');
    assert.match(
      await scene.call(client, 'http', { text: `GET ${object('reports', '2026/a')}` }),
      /workloadIdentityUser/,
    );
    trust.issuer = `${scene.workspace.url}/other`;
    assert.match(await scene.call(client, 'http', { text: `GET ${object('reports', '2026/a')}` }), /take this issuer/);
    trust.issuer = `${scene.workspace.url}/identity`;
    assert.deepEqual(new Set((await scene.leasesOf(task.id)).map(({ state }) => state)), new Set(['revoked']));
    await task.end();
    await isTruthful(scene);
  });
});

describe('tools that call Azure', async () => {
  const federated = { issuer: '', audience: 'api://AzureADTokenExchange' };
  const azure = await startFakeAzure(() => [
    { ...federated, subject: subjectOf('agent-a') },
    { ...federated, subject: TESTED },
  ]);
  const scene = await startCredentialScene({
    from: {
      ...{ type: 'azure', tenant: azure.tenant, client: azure.client, authority: azure.url, allowPrivateAddress: true },
      resources: ['https://storage.azure.com', 'https://vault.azure.net'],
    },
    scope: { resources: ['https://storage.azure.com'] },
    env,
  });
  federated.issuer = `${scene.workspace.url}/identity`;
  after(async () => {
    await scene.workspace.close();
    azure.close();
  });

  /** @proves lease.azure */
  test('a token of the application is for the one resource that was asked for, and what Entra gives beyond the lease is counted', async () => {
    const { task, client } = await scene.begin();
    assert.match(await scene.call(client, 'http', { text: `GET ${azure.url}/reports/a.csv` }), /200 a report/);
    assert.deepEqual(azure.subjects, [subjectOf('agent-a')]);
    assert.deepEqual([...azure.tokens.values()], ['https://storage.azure.com']);
    const [lease] = await scene.leasesOf(task.id);
    assert.ok((lease?.expiresAt ?? 0) <= Date.now() + 900_000);
    const [token = ''] = azure.tokens.keys();
    assert.doesNotMatch(await scene.call(client, 'leak'), new RegExp(token));
    await task.end();
    await remaining(scene, task.id, /Entra ends no token of an application before its time/);
    const [rest] = await scene.leasesOf(task.id);
    assert.ok((rest?.expiresAt ?? 0) > Date.now() + 4_000_000, 'Entra gave 75 minutes');
  });

  test('an agent without a federated credential gets nothing, and is told what to look at', async () => {
    const { task, client } = await scene.begin('agent-b');
    assert.match(
      await scene.call(client, 'http', { text: `GET ${azure.url}/reports/a.csv` }),
      /AADSTS700213.*federated credential with exactly this issuer, subject and audience/,
    );
    assert.deepEqual((await scene.leasesOf(task.id))[0]?.state, 'revoked');
    await task.end();
    await isTruthful(scene);
  });
});

/** @proves lease.narrow-clouds */
test('of Google Cloud and Azure too, issued is within asked, asked within allowed, and a template takes away', () => {
  const rule: fc.Arbitrary<BucketRule> = fc.record({
    bucket: fc.constantFrom('aaa', 'bbb'),
    roles: fc.uniqueArray(fc.constantFrom('roles/storage.objectViewer', 'roles/storage.objectAdmin'), { minLength: 1 }),
    prefix: fc.constantFrom('', 'x', 'x/', 'x/y', 'z'),
  });
  const rules = fc.option(fc.array(rule, { minLength: 1, maxLength: 3 }), { nil: undefined });
  const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 });
  const scope = (each: string) => `https://www.googleapis.com/auth/${each}`;
  const asScope = ([scopes, buckets]: [string[], BucketRule[] | undefined]) => ({
    scopes: scopes.map(scope),
    ...(buckets && { buckets }),
  });
  const part = fc.tuple(names, rules).map(asScope);
  const google = (allowed: GoogleCloudScope) =>
    ({
      ...{ type: 'google-cloud', provider: 'p', serviceAccount: 's', stsUrl: 'https://a', iamUrl: 'https://b' },
      ...{ allowPrivateAddress: false, ...allowed },
    }) as CredentialSource;
  const reach = ({ scopes = [], buckets }: GoogleCloudScope) =>
    scopes.flatMap((each) =>
      ['aaa/x', 'aaa/x/y', 'aaa/z', 'bbb/x/y/z', 'bbb/q'].flatMap((object) =>
        ['roles/storage.objectViewer', 'roles/storage.objectAdmin']
          .filter(
            (role) =>
              !buckets ||
              buckets.some((of) => of.roles.includes(role) && object.startsWith(`${of.bucket}/${of.prefix}`)),
          )
          .map((role) => `${each} ${object} ${role}`),
      ),
    );
  let issued = 0;
  fc.assert(
    fc.property(part, part, part, (allowed, asked, given) => {
      for (const wanted of [asked, allowed]) {
        const narrowed = narrowScope(google(allowed), wanted, [{ ...given, scopes: allowed.scopes }]);
        if (!('scope' in narrowed)) continue;
        issued++;
        for (const most of [allowed, wanted, { ...given, scopes: allowed.scopes }])
          assert.deepEqual(
            reach(narrowed.scope as GoogleCloudScope).filter((each) => !reach(most).includes(each)),
            [],
          );
      }
    }),
    { numRuns: 300 },
  );
  assert.ok(issued > 30);

  const resource = (each: string) => `https://${each}.azure.com`;
  fc.assert(
    fc.property(names, names, names, (allowed, asked, given) => {
      const from = { type: 'azure', resources: allowed.map(resource) } as CredentialSource;
      const narrowed = narrowScope(from, { resources: asked.map(resource) });
      assert.equal(
        'scope' in narrowed,
        asked.every((each) => allowed.includes(each)),
      );
      const met = narrowScope(from, { resources: asked.map(resource) }, [{ resources: given.map(resource) }]);
      if (!('scope' in met)) return;
      const { resources } = met.scope as { resources: string[] };
      for (const most of [allowed, asked, given])
        assert.ok(resources.length > 0 && resources.every((each) => most.map(resource).includes(each)));
    }),
  );
});
