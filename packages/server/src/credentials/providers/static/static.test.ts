import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { credentialProviderManifest, narrowScope, type StaticSource } from '@gatehouse/protocol';
import fc from 'fast-check';
import { changedAt, startFakeSecretManagers } from '../../../../../../test/fakes/secret-managers.ts';
import { canary } from '../../../../../../test/support/canary.ts';
import { startMoto } from '../../../../../../test/support/moto.ts';
import { createOutbound, Secret, systemClock } from '../../../platform/index.ts';
import type { ProviderTools } from '../index.ts';
import { openStaticProvider } from './index.ts';

const held = {
  onePassword: {
    ...{ token: canary(), vault: 'ftz4pm2xxwmwrsd7rjqn7grzfz', item: '2fcbqwe9ndg175zg2dzwftvkpa' },
    ...{ title: 'Payments', field: 'api key', value: canary() },
  },
  conjur: { account: 'acme', login: 'host/gatehouse', key: canary(), variable: 'prod/payments/key', value: canary() },
  google: {
    ...{ project: 'acme-prod', serviceAccount: 'reader@acme-prod.iam.gserviceaccount.com' },
    ...{ subject: canary(), secret: 'payments', value: canary() },
  },
  azure: {
    ...{ tenant: '3f2a7c10-0000-4000-8000-000000000001', client: '3f2a7c10-0000-4000-8000-000000000002' },
    ...{ subject: canary(), secret: 'payments', value: canary() },
  },
};

describe('long-lived secrets that somebody else keeps', () => {
  let fakes: Awaited<ReturnType<typeof startFakeSecretManagers>>;
  const outbound = createOutbound();
  const noted = new Map<string, number | null>();
  let stored: Record<string, string>;
  let subject = '';

  before(async () => {
    fakes = await startFakeSecretManagers(held);
    stored = { connect: held.onePassword.token, conjur: held.conjur.key };
  });
  after(async () => {
    fakes.close();
    await outbound.close();
  });

  function open(kept: object, parts: Record<string, string>, environment: Record<string, string> = {}) {
    const manifest = credentialProviderManifest.parse({
      ...{ kind: 'CredentialProvider', name: 'kept', environments: ['prod'] },
      from: { type: 'static', in: kept, parts, for: ['https://api.example'] },
    });
    return openStaticProvider('kept', manifest.from as StaticSource, {
      ...({ outbound, clock: systemClock, environment } as unknown as ProviderTools),
      openSecret: async (name) => new Secret(stored[name] ?? ''),
      identityToken: async () => new Secret(subject),
      noteUse: (id, at) => void noted.set(id, at),
      environmentName: 'prod',
    });
  }
  const signal = () => AbortSignal.timeout(20_000);
  const order = (parts: string[]) => ({
    ...{ lease: 'lse_1', name: 'gh_1', scope: { parts }, expiresAt: Date.now() + 60_000 },
    ...{ agent: 'agent-1', task: 'tsk_1', environment: 'prod' },
  });
  async function read(kept: object, named: string, environment?: Record<string, string>) {
    const provider = open(kept, { token: named }, environment);
    await provider.check(signal());
    const { credential } = await provider.create(order(['token']), signal());
    // Nothing was made: ending it is nothing to do, however often.
    for (let time = 0; time < 2; time++)
      assert.equal(
        await provider.revoke({ ...order([]), revocation: null, makingUntil: 0 } as never, signal()),
        undefined,
      );
    await provider.close();
    return credential.token?.reveal();
  }
  const reach = { allowPrivateAddress: true };

  const sources = () => ({
    '1Password Connect': {
      kept: {
        type: '1password-connect',
        url: fakes.url('onePassword'),
        secret: 'connect',
        vault: held.onePassword.vault,
      },
      names: ['Payments/api key', `${held.onePassword.item}/f1`],
      value: held.onePassword.value,
      since: changedAt,
      wrong: ['Nothing/api key', 'Payments/pin'],
      breaks: () => (stored.connect = 'another token'),
    },
    'CyberArk Conjur': {
      kept: { type: 'conjur', url: fakes.url('conjur'), secret: 'conjur', account: 'acme', login: 'host/gatehouse' },
      names: ['prod/payments/key'],
      value: held.conjur.value,
      since: null,
      wrong: ['prod/payments'],
      breaks: () => (stored.conjur = 'another key'),
    },
    'Google Secret Manager': {
      kept: {
        ...{ type: 'gcp-secret-manager', project: 'acme-prod', url: fakes.url('google') },
        access: {
          ...{ type: 'google-cloud', serviceAccount: held.google.serviceAccount },
          ...{ provider: 'projects/1042/locations/global/workloadIdentityPools/agents/providers/gatehouse' },
          ...{ scopes: ['https://www.googleapis.com/auth/cloud-platform'] },
          ...{ stsUrl: fakes.url('google'), iamUrl: fakes.url('google'), ...reach },
        },
      },
      names: ['payments'],
      value: held.google.value,
      since: changedAt,
      wrong: ['refunds'],
      breaks: () => (subject = 'somebody else'),
    },
    'Azure Key Vault': {
      kept: {
        ...{ type: 'azure-key-vault', url: fakes.url('azure') },
        access: {
          ...{ type: 'azure', tenant: held.azure.tenant, client: held.azure.client, authority: fakes.url('azure') },
          ...{ resources: ['https://vault.azure.net'], ...reach },
        },
      },
      names: ['payments'],
      value: held.azure.value,
      since: changedAt,
      wrong: ['refunds'],
      breaks: () => (subject = 'somebody else'),
    },
  });

  /** @proves secrets.kept-elsewhere */
  for (const name of ['1Password Connect', 'CyberArk Conjur', 'Google Secret Manager', 'Azure Key Vault'] as const)
    test(`${name}: read as its API is documented, and an error says nothing of what it holds`, async () => {
      const { kept, names, value, since, wrong, breaks } = sources()[name];
      subject = name.startsWith('Google') ? held.google.subject : held.azure.subject;
      for (const named of names) {
        noted.clear();
        assert.equal(await read({ ...kept, ...reach }, named), value);
        assert.equal(noted.get('provider kept token'), since);
      }
      for (const named of wrong)
        await assert.rejects(read({ ...kept, ...reach }, named), (error: Error) => {
          assert.match(error.message, /Is there one of this name|has not one item|has no text there/);
          assert.ok(!error.message.includes(value));
          return true;
        });
      breaks();
      await assert.rejects(read({ ...kept, ...reach }, names[0] as string), /gave no secret|exchanged no token|AADSTS/);
    });

  test('AWS Secrets Manager: read with the server’s own credentials, also a member of one that is JSON', async (t) => {
    const moto = await startMoto();
    if (!moto) return t.skip('moto is missing: see above');
    t.after(() => moto.close());
    const value = canary();
    const created = await fetch(moto.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': 'secretsmanager.CreateSecret',
        authorization:
          'AWS4-HMAC-SHA256 Credential=A/20260101/eu-central-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0',
      },
      body: JSON.stringify({ Name: 'prod/payments', SecretString: JSON.stringify({ key: value }) }),
    });
    assert.equal(created.status, 200, await created.text());
    const kept = { type: 'aws-secrets-manager', region: 'eu-central-1', url: moto.url, ...reach };
    const environment = { AWS_ACCESS_KEY_ID: 'A', AWS_SECRET_ACCESS_KEY: 'B' };
    assert.equal(await read(kept, 'prod/payments#key', environment), value);
    assert.ok(Math.abs((noted.get('provider kept token') ?? 0) - Date.now()) < 3_600_000);
    await assert.rejects(read(kept, 'prod/refunds', environment), /gave no secret/);
  });
});

test('what is issued is within what is asked for, what a template gives, and what there is', () => {
  const name = fc.constantFrom<string>('a', 'b', 'c', 'd');
  const some = fc.uniqueArray(name, { minLength: 1 });
  fc.assert(
    fc.property(some, some, some, (there, asked, given) => {
      const from = {
        ...{ type: 'static', in: { type: 'environment' }, for: ['https://api.example'] },
        parts: Object.fromEntries(there.map((part) => [part, 'X'])),
      } as StaticSource;
      const narrowed = narrowScope(from, { parts: asked }, [{ parts: given }]);
      const issued = 'scope' in narrowed ? (narrowed.scope as { parts: string[] }).parts : [];
      for (const part of issued) assert.ok(there.includes(part) && asked.includes(part) && given.includes(part));
    }),
  );
});
