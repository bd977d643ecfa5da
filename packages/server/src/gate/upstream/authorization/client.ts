import { createPrivateKey, type KeyObject, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { type AuthorizationServer, type ClientAuth, ClientSecretPost, None } from 'oauth4webapi';
import type { Secrets } from '../../../credentials/index.ts';
import { type Clock, isJsonObject, Secret } from '../../../platform/index.ts';
import { wrong } from './discovery.ts';
import type { GuardedFetch } from './guarded-fetch.ts';
import type { OAuthSettings, OwnKey } from './types.ts';

/** Gatehouse as a client of one authorization server. */
export interface OAuthClient {
  id: string;
  authenticate: ClientAuth;
}

/** A client that registered itself; the secret is the authorization server's answer. */
export interface RegisteredClient {
  id: string;
  secret: Secret | undefined;
  method: string | undefined;
}

export interface ClientDependencies {
  secrets: Secrets;
  ownKey: OwnKey;
  clock: Clock;
  publicUrl: string;
}

/** Life of a client assertion and of a workload token. */
const ASSERTION_SECONDS = 60;

/** The client that the manifest names, authenticated as the manifest and the authorization server want it. */
export async function configuredClient(
  deps: ClientDependencies,
  settings: OAuthSettings,
  as: AuthorizationServer,
  id: string,
): Promise<OAuthClient> {
  const methods = as.token_endpoint_auth_methods_supported;
  if (settings.clientSecret !== undefined)
    return { id, authenticate: withSecret(await deps.secrets.open(settings.clientSecret, as.issuer), methods) };
  const mustSign = settings.grant === 'client_credentials' || settings.clientKey !== undefined;
  const signs = methods?.includes('private_key_jwt') === true && !methods.includes('none');
  if (mustSign || signs) return { id, authenticate: await withKey(deps, settings, as, id) };
  return { id, authenticate: None() };
}

/** RFC 6749 §2.3.1: by header unless only the body is taken. Without `methods` the header is what every server takes. */
function withSecret(secret: Secret, methods: string[] | undefined): ClientAuth {
  if (methods === undefined || methods.includes('client_secret_basic')) {
    return (_as, client, _body, headers) => {
      const pair = `${formEncoded(client.client_id)}:${formEncoded(secret.reveal())}`;
      headers.set('authorization', `Basic ${Buffer.from(pair).toString('base64')}`);
    };
  }
  if (methods.includes('client_secret_post')) return ClientSecretPost(secret.reveal());
  throw wrong('The authorization server takes no client secret; take `clientSecret` out of the manifest.');
}

/** As forms write it (RFC 6749 appendix B), which leaves `-`, `.`, `_` and `*` as they are: some servers do not decode. */
const formEncoded = (text: string) => new URLSearchParams({ '': text }).toString().slice(1);

/** `private_key_jwt` with the issuer as the one audience (draft-ietf-oauth-rfc7523bis §4). */
async function withKey(
  deps: ClientDependencies,
  { clientKey }: OAuthSettings,
  as: AuthorizationServer,
  id: string,
): Promise<ClientAuth> {
  const { kid, key } =
    clientKey === undefined ? deps.ownKey() : keyOf(await deps.secrets.open(clientKey, as.issuer), clientKey);
  return async (_as, _client, body) => {
    body.set('client_id', id);
    body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
    const claims = { iss: id, sub: id, aud: as.issuer };
    body.set('client_assertion', await signed(deps.clock, key, { typ: 'client-authentication+jwt', kid }, claims));
  };
}

function keyOf(pem: Secret, name: string): { kid: undefined; key: KeyObject } {
  try {
    const key = createPrivateKey(pem.reveal());
    if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error('another kind of key');
    return { kid: undefined, key };
  } catch {
    // Not passed on as the cause: what a parser says of a key may quote it.
    throw wrong(`The secret "${name}" is not a P-256 private key in PKCS #8 PEM.`);
  }
}

/** The gate's workload token: who it is, for this authorization server only (RFC 7523 §3). */
export function workloadToken(deps: ClientDependencies, subject: string, audience: string): Promise<string> {
  const { kid, key } = deps.ownKey();
  return signed(deps.clock, key, { typ: 'JWT', kid }, { iss: deps.publicUrl, sub: subject, aud: audience });
}

function signed(
  clock: Clock,
  key: KeyObject,
  { kid, typ }: { kid: string | undefined; typ: string },
  claims: Record<string, string>,
): Promise<string> {
  const now = Math.floor(clock.now() / 1000);
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', typ, ...(kid !== undefined && { kid }) })
    .setIssuedAt(now)
    .setExpirationTime(now + ASSERTION_SECONDS)
    .setJti(randomUUID())
    .sign(key);
}

export function registeredClient({ id, secret, method }: RegisteredClient): OAuthClient {
  if (secret === undefined || method === 'none') return { id, authenticate: None() };
  return { id, authenticate: withSecret(secret, method === undefined ? undefined : [method]) };
}

/** RFC 7591. The answer's secret is good at this authorization server only. */
export async function register(
  web: GuardedFetch,
  as: AuthorizationServer,
  metadata: Record<string, unknown>,
): Promise<RegisteredClient> {
  const supported = as.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
  const method = ['none', 'client_secret_basic', 'client_secret_post'].find((each) => supported.includes(each));
  if (method === undefined)
    throw wrong(`${as.issuer} registers no client that Gatehouse could be. Register it by hand: \`clientId\`.`);
  const response = await web.fetch(as.registration_endpoint as string, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ ...metadata, token_endpoint_auth_method: method }),
  });
  const answer: unknown = await response.json().catch(() => undefined);
  const {
    client_id: id,
    client_secret: secret,
    token_endpoint_auth_method: given,
  } = isJsonObject(answer) ? answer : {};
  if (!response.ok || typeof id !== 'string' || id === '' || id.length > 2_000)
    throw wrong(
      `${as.issuer} does not register Gatehouse (HTTP ${response.status}). Register it by hand: \`clientId\`.`,
    );
  return {
    id,
    secret: typeof secret === 'string' ? new Secret(secret) : undefined,
    method: typeof given === 'string' ? given : secret === undefined ? 'none' : undefined,
  };
}
