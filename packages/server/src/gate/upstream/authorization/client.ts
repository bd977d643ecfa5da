import { createPrivateKey, type KeyObject, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { type AuthorizationServer, type ClientAuth, None } from 'oauth4webapi';
import {
  clientWithSecret,
  type GuardedFetch,
  type OAuthClient,
  type RegisteredClient,
  type Secrets,
  wrong,
} from '../../../credentials/index.ts';
import { type Clock, isJsonObject, Secret } from '../../../platform/index.ts';
import type { OAuthSettings, OwnKey } from './types.ts';

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
    return { id, authenticate: clientWithSecret(await deps.secrets.open(settings.clientSecret, as.issuer), methods) };
  const mustSign = settings.grant === 'client_credentials' || settings.clientKey !== undefined;
  const signs = methods?.includes('private_key_jwt') === true && !methods.includes('none');
  if (mustSign || signs) return { id, authenticate: await withKey(deps, settings, as, id) };
  return { id, authenticate: None() };
}

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
