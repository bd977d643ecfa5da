import type { AuthorizationServer } from 'oauth4webapi';
import { authorizationServer, type GuardedFetch, splitScopes, wrong } from '../../../credentials/index.ts';
import type { JsonObject } from '../../../platform/index.ts';
import type { Challenge } from './challenge.ts';
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

/** RFC 8707 §2: without a fragment; without the slash that no path at all would be shown with. */
const identifierOf = (server: URL): string =>
  `${server.origin}${server.pathname === '/' ? '' : server.pathname}${server.search}`;
