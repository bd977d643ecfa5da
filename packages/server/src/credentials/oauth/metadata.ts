import type { AuthorizationServer } from 'oauth4webapi';
import { GatehouseError, type JsonObject } from '../../platform/index.ts';
import type { GuardedFetch } from './guarded-fetch.ts';

/** RFC 8414 §3.1 and OpenID Connect Discovery: the path is inserted, then appended. The first document that is there counts. */
export async function authorizationServer(
  web: GuardedFetch,
  issuer: string,
  legacy: boolean,
): Promise<AuthorizationServer> {
  const url = URL.parse(issuer);
  if (url === null || url.search !== '' || url.hash !== '')
    throw wrong(`The issuer "${issuer.slice(0, 200)}" is not an issuer identifier.`);
  const path = url.pathname.replace(/\/$/, '');
  const addresses = [
    `${url.origin}/.well-known/oauth-authorization-server${path}`,
    `${url.origin}/.well-known/openid-configuration${path}`,
    ...(path === '' ? [] : [`${url.origin}${path}/.well-known/openid-configuration`]),
  ];
  for (const address of addresses) {
    const document = await web.json(address);
    if (document === undefined) continue;
    // RFC 8414 §3.3: compared as text. Another issuer's document must not stand in for this one's (mix-up).
    if (document.issuer !== issuer) throw wrong(`${address} is the metadata of another issuer; it is not used.`);
    return checkEndpoints(document as AuthorizationServer & JsonObject, web);
  }
  if (legacy)
    return {
      issuer,
      authorization_endpoint: `${url.origin}/authorize`,
      token_endpoint: `${url.origin}/token`,
      registration_endpoint: `${url.origin}/register`,
      code_challenge_methods_supported: ['S256'],
    };
  throw wrong(`${issuer} has no authorization server metadata (RFC 8414).`);
}

const endpointNames = [
  'authorization_endpoint',
  'token_endpoint',
  'registration_endpoint',
  'revocation_endpoint',
  'introspection_endpoint',
  'pushed_authorization_request_endpoint',
] as const;

function checkEndpoints(as: AuthorizationServer & JsonObject, web: GuardedFetch): AuthorizationServer {
  for (const name of endpointNames) {
    const value = as[name];
    if (value === undefined) continue;
    const url = typeof value === 'string' && value.length <= 2_000 ? URL.parse(value) : null;
    const isWeb = url?.protocol === 'https:' || (url?.protocol === 'http:' && web.mayBePrivate(url.href));
    if (!isWeb) throw wrong(`The ${name} of ${as.issuer} is not an https address.`);
  }
  for (const name of [
    'token_endpoint_auth_methods_supported',
    'scopes_supported',
    'dpop_signing_alg_values_supported',
    'code_challenge_methods_supported',
  ]) {
    const value = as[name];
    if (value !== undefined && !(Array.isArray(value) && value.every((each) => typeof each === 'string')))
      throw wrong(`The ${name} of ${as.issuer} is not a list of strings.`);
  }
  return as;
}

export const wrong = (detail: string, cause?: unknown): GatehouseError =>
  new GatehouseError('upstream', 'upstream.authorization', detail, { cause });
