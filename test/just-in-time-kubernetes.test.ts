import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type KubernetesSource, narrowScope } from '@gatehouse/protocol';
import fc from 'fast-check';
import type { Provider } from '../packages/server/src/credentials/leases/types.ts';
import { openKubernetesProvider } from '../packages/server/src/credentials/providers/kubernetes.ts';
import { createAuthority } from '../packages/server/src/identity/client-certificate/testing/authority.ts';
import { createOutbound, Secret } from '../packages/server/src/platform/index.ts';
import { startFakeKubernetes } from './fakes/kubernetes.ts';
import { canary } from './support/canary.ts';
import {
  type CredentialScene,
  leftOf,
  orderOf,
  patiently,
  startCredentialScene,
  until,
} from './support/credential-scene.ts';
import { hasPrograms } from './support/debian.ts';
import { kubectl } from './support/kubectl.ts';

const hasKubectl = hasPrograms(['kubectl'], ['kubernetes-client']);
const secret = canary();

describe('Kubernetes tokens', { skip: hasKubectl ? false : 'kubectl is missing' }, () => {
  let ca: string;
  let cluster: Awaited<ReturnType<typeof startFakeKubernetes>>;
  let source: KubernetesSource;
  let provider: Provider;
  let scene: CredentialScene;
  let now = Date.now();
  const outbound = createOutbound();
  const open = (from: KubernetesSource) =>
    openKubernetesProvider(from, {
      clock: { now: () => now } as never,
      outbound,
      openSecret: async () => new Secret(secret),
    });

  before(async () => {
    const authority = await createAuthority('cluster.test');
    ca = authority.root;
    const tls = await authority.issue({ dns: ['localhost'] });
    cluster = await startFakeKubernetes({
      ...tls,
      token: secret,
      accounts: ['shop/reader', 'shop/writer', 'web/reader'],
    });
    source = {
      ...{ type: 'kubernetes', url: cluster.url, secret: 'broker', ca, allowPrivateAddress: true },
      serviceAccounts: ['shop/reader', 'shop/writer', 'web/reader'],
    };
    provider = open(source);
    scene = await startCredentialScene({
      from: source,
      secret: { value: secret, origins: [cluster.url] },
      env: { KUBE_TOKEN: '{token}' },
      plainEnv: { KUBE_SERVER: cluster.url, KUBE_CA: ca },
      scope: { serviceAccounts: ['shop/reader'] },
    });
  });
  after(async () => {
    await scene?.workspace.close();
    cluster?.close();
    await outbound.close();
  });
  beforeEach(() => {
    now = Date.now();
    for (const each of Object.keys(cluster.trouble)) delete cluster.trouble[each as keyof typeof cluster.trouble];
  });

  const get = (token: Secret | undefined, path: string) =>
    kubectl({ server: cluster.url, token: token?.reveal() ?? '', ca }, path);

  test('a token is of one service account, is taken by kubectl, and by nobody once its Secret is deleted', async () => {
    const asked = orderOf(source, { serviceAccounts: ['shop/reader'] });
    const made = await provider.create(asked, patiently());
    const { token } = made.credential;
    assert.match(await get(token, '/api/v1/namespaces/shop/pods'), /seen-by-shop\/reader/);
    assert.match(await get(token, '/api/v1/namespaces/web/pods'), /forbidden/i);
    const [[id, bound] = []] = cluster.secrets;
    assert.equal(id, `shop/${asked.name.replace('_', '-')}`);
    assert.deepEqual(bound?.metadata.annotations, {
      'gatehouse/lease': asked.lease,
      'gatehouse/agent': 'agent-1',
      'gatehouse/task': 'tsk_1',
    });
    const remains = await provider.revoke(leftOf(asked, made), patiently());
    assert.match(remains?.why ?? '', /within 10 s/);
    assert.equal(remains?.until, now + 10_000);
    assert.match(await get(token, '/api/v1/namespaces/shop/pods'), /Unauthorized|logged in/);
    assert.equal(await provider.revoke(leftOf(asked, made), patiently()), undefined);
  });

  test('lives shorter than Kubernetes makes them end with their Secret', async () => {
    const asked = orderOf(source);
    const made = await provider.create(asked, patiently());
    const token = cluster.tokens.get(made.credential.token?.reveal() ?? '');
    assert.ok((token?.expiresAt ?? 0) > Date.now() + 590_000);
    assert.equal(made.expiresAt, undefined);
    await provider.revoke(leftOf(asked, made), patiently());
  });

  test('a token that others take as well remains until it expires, and that is said', async () => {
    const wide = { ...source, audiences: ['api', 'vault'] };
    const asked = orderOf(wide, { audiences: ['vault'] });
    const other = open(wide);
    assert.equal(other.abilities.maxResidualSeconds, null);
    const made = await other.create(asked, patiently());
    assert.match(await get(made.credential.token, '/api/v1/namespaces/shop/pods'), /Unauthorized|logged in/);
    const remains = await other.revoke(leftOf(asked, made), patiently());
    assert.match(remains?.why ?? '', /vault/);
    now = remains?.until ?? 0;
    assert.equal(await other.revoke(leftOf(asked, made), patiently()), undefined);
    assert.equal(cluster.secrets.size, 0);
  });

  test('half made, made twice, never made, kept by the cluster: each is right', async () => {
    const asked = orderOf(source);
    assert.equal(await provider.revoke(leftOf(asked), patiently()), undefined);
    for (const tokens of ['refused', 'lost'] as const) {
      cluster.trouble.tokens = tokens;
      await assert.rejects(
        provider.create(asked, patiently()),
        (error: Error) => error.name === 'GatehouseError' && error.constructor.name !== 'NotMade',
      );
      assert.equal(cluster.secrets.size, 1);
    }
    delete cluster.trouble.tokens;
    const first = await provider.create(asked, patiently());
    const second = await provider.create(asked, patiently());
    assert.match(await get(first.credential.token, '/api/v1/namespaces/shop/pods'), /Unauthorized|logged in/);
    assert.match(await get(second.credential.token, '/api/v1/namespaces/shop/pods'), /seen-by/);
    cluster.trouble.keepsSecrets = true;
    await assert.rejects(async () => provider.revoke(leftOf(asked, second), patiently()), /still there/);
    delete cluster.trouble.keepsSecrets;
    await provider.revoke(leftOf(asked), patiently());
    assert.equal(cluster.secrets.size, 0);
  });

  test('a right that is missing is named, and no Secret is ever read', async () => {
    await provider.check(patiently());
    cluster.trouble.rights = ['create secrets', 'delete secrets'];
    await assert.rejects(provider.check(patiently()), /may not create serviceaccounts\/token in shop/);
    assert.ok(!cluster.asked.some((each) => /^GET .*secrets/.test(each)));
  });

  /** @proves lease.kubernetes */
  test('a task’s tools have a token of their own, which nothing shows, and a kill ends it', async () => {
    const { task, client } = await scene.begin('agent-b');
    assert.match(await scene.call(client, 'kubectl', { text: '/api/v1/namespaces/shop/pods' }), /seen-by-shop\/reader/);
    assert.match(await scene.call(client, 'leak'), /KUBE_TOKEN\W+\[credential\]/);
    const issued = [...cluster.tokens.keys()].at(-1) ?? '';
    await scene.workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: {} });
    await until(() => cluster.secrets.size === 0);
    assert.match(await get(new Secret(issued), '/api/v1/namespaces/shop/pods'), /Unauthorized|logged in/);
    const [lease] = await scene.leasesOf(task.id);
    assert.equal(lease?.maxResidualSeconds, 10);
  });
});

test('issued is within asked, and asked within allowed; what two scopes have in common is within both', () => {
  const all = ['a/x', 'a/y', 'b/x'];
  const audience = ['api', 'vault'];
  const scope = fc
    .tuple(fc.subarray(all, { minLength: 1 }), fc.option(fc.subarray(audience, { minLength: 1 }), { nil: undefined }))
    .map(([serviceAccounts, audiences]) => ({ serviceAccounts, ...(audiences && { audiences }) }));
  const from = (more: object): KubernetesSource => ({
    ...{ type: 'kubernetes', url: 'https://cluster.test', secret: 'broker', allowPrivateAddress: false },
    ...{ serviceAccounts: all, audiences: audience },
    ...more,
  });
  fc.assert(
    fc.property(scope, scope, scope, (allowed, asked, within) => {
      const narrowed = narrowScope(from({ audiences: undefined, ...allowed }), asked);
      const isWithin =
        asked.serviceAccounts.every((each) => allowed.serviceAccounts.includes(each)) &&
        (asked.audiences ?? []).every((each) => allowed.audiences?.includes(each));
      assert.equal('scope' in narrowed, isWithin);
      if ('scope' in narrowed)
        assert.deepEqual(narrowed.scope, { ...(allowed.audiences && { audiences: allowed.audiences }), ...asked });
      const common = narrowScope(from({}), asked, [within]);
      if (!('scope' in common)) return;
      for (const each of [asked, within])
        assert.ok('scope' in narrowScope(from({ audiences: audience, ...each }), common.scope));
    }),
  );
});
