import type { IdentityProviderManifest } from '@gatehouse/protocol';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import * as oidc from 'openid-client';
import type { Clock, Outbound, Secret } from '../../../platform/index.ts';
import type { ClientKeys } from './client-key.ts';
import { companySignInLimits as limits } from './limits.ts';

export interface ProviderDependencies {
  /** Throws when the secret is not for this destination. */
  openSecret(name: string, destination: string): Promise<Secret>;
  outbound: Outbound;
  clock: Clock;
  clientKeys: Pick<ClientKeys, 'signer'>;
}

export interface Providers {
  /** The client for this provider; its metadata is fetched when it is older than `metadataTtlMs`. */
  client(provider: IdentityProviderManifest): Promise<oidc.Configuration>;
  /** Makes a new client at the next call: a secret or a key of the provider may have changed. */
  forget(provider: string): void;
  /** Its keys, for what it sends by itself (logout tokens). They are fetched again for a key that is not among them. */
  keys(provider: IdentityProviderManifest): JWTVerifyGetKey;
}

/** Everything that is fetched from a provider goes through `platform/outbound.ts`: checked addresses, no redirects, bounded. */
export function createProviders({ openSecret, outbound, clock, clientKeys }: ProviderDependencies): Providers {
  const clients = new Map<
    string,
    { from: IdentityProviderManifest; at: number; kid: string | null; client: Promise<oidc.Configuration> }
  >();
  const keySets = new Map<string, { from: IdentityProviderManifest; at: number; keys: Promise<JWTVerifyGetKey> }>();

  const how = (provider: IdentityProviderManifest) => ({
    allowPrivateAddress: provider.allowPrivateAddress,
    maxBytes: limits.answerBytes,
    timeoutMs: limits.callTimeoutMs,
    ...(provider.ca !== undefined && { ca: provider.ca }),
  });

  const fetchFor =
    (provider: IdentityProviderManifest): oidc.CustomFetch =>
    async (url, { method, headers, body }) => {
      const answer = await outbound.fetch(url, {
        ...how(provider),
        method: method === 'POST' ? 'POST' : 'GET',
        headers: Object.fromEntries(new Headers(headers as HeadersInit)),
        ...(body != null && { body: String(body) }),
      });
      const isEmpty = answer.status === 204 || answer.status === 304;
      return new Response(isEmpty ? null : new Uint8Array(answer.body), {
        status: answer.status,
        headers: answer.headers,
      });
    };

  /** A secret goes to the token endpoint that the provider names, if it was stored for that one. */
  async function authentication(provider: IdentityProviderManifest, tokenEndpoint: string): Promise<oidc.ClientAuth> {
    if (provider.clientAuthentication === 'private_key_jwt') {
      const { kid, private: key } = await clientKeys.signer();
      return oidc.PrivateKeyJwt({ key, kid });
    }
    const secret = (await openSecret(provider.secret ?? '', tokenEndpoint)).reveal();
    return provider.clientAuthentication === 'client_secret_post'
      ? oidc.ClientSecretPost(secret)
      : oidc.ClientSecretBasic(secret);
  }

  async function discover(provider: IdentityProviderManifest): Promise<oidc.Configuration> {
    const isPlain = new URL(provider.issuer).protocol === 'http:' && provider.allowPrivateAddress;
    const settings = { [oidc.clockTolerance]: limits.clockToleranceSeconds };
    const found = await oidc.discovery(new URL(provider.issuer), provider.clientId, settings, oidc.None(), {
      [oidc.customFetch]: fetchFor(provider),
      timeout: limits.callTimeoutMs / 1_000,
      ...(isPlain && { execute: [oidc.allowInsecureRequests] }),
    });
    const server = found.serverMetadata();
    // Byte for byte, although a library may forgive a slash: the issuer is half of an account's name.
    if (server.issuer !== provider.issuer) throw new Error(`it calls itself ${server.issuer}`);
    const authenticate = await authentication(provider, server.token_endpoint ?? '');
    const client = new oidc.Configuration(server, provider.clientId, settings, authenticate);
    client[oidc.customFetch] = fetchFor(provider);
    client.timeout = limits.callTimeoutMs / 1_000;
    if (isPlain) oidc.allowInsecureRequests(client);
    // The signature of an ID token is checked, although it came over TLS from the provider itself (OIDC Core §3.1.3.7 would allow not to).
    oidc.enableNonRepudiationChecks(client);
    return client;
  }

  return {
    client,

    forget(provider) {
      clients.delete(provider);
      keySets.delete(provider);
    },

    keys: (provider) => async (header, token) => {
      const { keys, at } = keysOf(provider, limits.metadataTtlMs);
      try {
        return await (await keys)(header, token);
      } catch (error) {
        // A key that the provider has begun to sign with since. Anybody can name one, so that it is not asked for each.
        if (!(error instanceof errors.JWKSNoMatchingKey) || clock.now() - at < limits.keysAgainMs) throw error;
        return await (await keysOf(provider, limits.keysAgainMs).keys)(header, token);
      }
    },
  };

  function keysOf(provider: IdentityProviderManifest, maxAgeMs: number) {
    const known = keySets.get(provider.name);
    if (known?.from === provider && clock.now() - known.at < maxAgeMs) return known;
    const fetched = { from: provider, at: clock.now(), keys: fetchKeys(provider) };
    keySets.set(provider.name, fetched);
    fetched.keys.catch(() => {
      if (keySets.get(provider.name) === fetched) keySets.delete(provider.name);
    });
    return fetched;
  }

  async function fetchKeys(provider: IdentityProviderManifest): Promise<JWTVerifyGetKey> {
    const { jwks_uri: address } = (await client(provider)).serverMetadata();
    if (address === undefined) throw new Error('it publishes no keys');
    const { json } = await outbound.fetchJson(address, how(provider));
    return createLocalJWKSet(json as unknown as JSONWebKeySet);
  }

  async function client(provider: IdentityProviderManifest): Promise<oidc.Configuration> {
    // Not with the key of before: it may be gone because somebody has a copy.
    const kid = provider.clientAuthentication === 'private_key_jwt' ? (await clientKeys.signer()).kid : null;
    const known = clients.get(provider.name);
    const isCurrent = known?.from === provider && known.kid === kid;
    if (isCurrent && clock.now() - known.at < limits.metadataTtlMs) return known.client;
    const made = discover(provider);
    clients.set(provider.name, { from: provider, at: clock.now(), kid, client: made });
    made.catch(() => {
      if (clients.get(provider.name)?.client === made) clients.delete(provider.name);
    });
    return made;
  }
}
