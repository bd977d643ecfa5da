import type { AuthorizationServer } from 'oauth4webapi';
import { GatehouseError, type JsonObject } from '../../../platform/index.ts';
import { type Challenge, splitScopes } from './challenge.ts';
import type { GuardedFetch } from './guarded-fetch.ts';
import type { HttpTransport, OAuthSettings } from './types.ts';

/** Where a token for a server is to be had, as its documents say and the manifest permits. */
export interface Discovered {
  /** The resource indicator (RFC 8707) that tokens are asked for. */
  resource: string;
  resourceScopes: string[] | undefined;
  /** The server wants tokens bound to a key. */
  boundOnly: boolean;
  as: AuthorizationServer;
}

/** Throws `upstream` GatehouseErrors that say which document is wrong, and how. */
export async function discover(
  web: GuardedFetch,
  transport: HttpTransport,
  settings: OAuthSettings,
  challenge: Challenge,
): Promise<Discovered> {
  const server = new URL(transport.url);
  const metadata = await resourceMetadata(web, server, challenge.resourceMetadata);
  const legacy = settings.grant === 'authorization_code' && settings.allowLegacyDiscovery;
  if (metadata === undefined) {
    const issuer = settings.issuer ?? (legacy ? server.origin : undefined);
    if (issuer === undefined)
      throw wrong(
        `${server.href} has no protected resource metadata (RFC 9728), so nobody knows who authorizes for it. Name its authorization server as \`issuer\` in the manifest.`,
      );
    const as = await authorizationServer(web, issuer, legacy);
    return { resource: identifierOf(server), resourceScopes: undefined, boundOnly: false, as };
  }
  const resource = checkResource(metadata.resource, server);
  const issuer = chooseIssuer(metadata.authorization_servers, settings.issuer);
  const scopes = metadata.scopes_supported;
  return {
    resource,
    resourceScopes: Array.isArray(scopes)
      ? splitScopes(scopes.filter((each) => typeof each === 'string').join(' '))
      : undefined,
    boundOnly: metadata.dpop_bound_access_tokens_required === true,
    as: await authorizationServer(web, issuer, false),
  };
}

/** RFC 9728 §3.1 and §5.1: the address that the challenge names, or else the well-known ones, that of the path first. */
async function resourceMetadata(
  web: GuardedFetch,
  server: URL,
  named: string | undefined,
): Promise<JsonObject | undefined> {
  if (named !== undefined) {
    const document = URL.canParse(named) ? await web.json(named) : undefined;
    if (document === undefined) throw wrong(`${server.href} names protected resource metadata that is not there.`);
    return document;
  }
  const base = `${server.origin}/.well-known/oauth-protected-resource`;
  const path = server.pathname === '/' ? [] : [`${base}${server.pathname.replace(/\/$/, '')}`];
  for (const url of [...path, base]) {
    const document = await web.json(url);
    if (document !== undefined) return document;
  }
  return undefined;
}

/** A token for another resource than the one that is called would be a token to be passed on (RFC 9728 §3.3, RFC 8707 §2). */
function checkResource(resource: unknown, server: URL): string {
  const url = typeof resource === 'string' && resource.length <= 2_000 ? URL.parse(resource) : null;
  const isAbove = (path: string) =>
    server.pathname === path || server.pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
  if (url !== null && url.origin === server.origin && url.hash === '' && url.search === '' && isAbove(url.pathname))
    return resource as string;
  throw wrong(`The protected resource metadata of ${server.href} is for another resource; no token is asked for.`);
}

function chooseIssuer(servers: unknown, pinned: string | undefined): string {
  const issuers = Array.isArray(servers)
    ? servers.filter((each) => typeof each === 'string' && each.length <= 2_000)
    : [];
  const [first] = issuers as string[];
  if (first === undefined) throw wrong('The protected resource metadata names no authorization server.');
  if (pinned === undefined || issuers.includes(pinned)) return pinned ?? first;
  throw wrong(
    `The tool server says that its authorization server is ${first}, but the manifest allows ${pinned} only. If it moved, correct \`issuer\`.`,
  );
}

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

/** RFC 8707 §2: without a fragment; without the slash that no path at all would be shown with. */
const identifierOf = (server: URL): string =>
  `${server.origin}${server.pathname === '/' ? '' : server.pathname}${server.search}`;

export const wrong = (detail: string, cause?: unknown): GatehouseError =>
  new GatehouseError('upstream', 'upstream.authorization', detail, { cause });
