import type { OAuthSource } from '@gatehouse/protocol';
import type { AuthorizationServer } from 'oauth4webapi';
import { isJsonObject, type JsonObject, type Outbound } from '../../platform/index.ts';
import { createGuardedFetch, type GuardedFetch } from './guarded-fetch.ts';
import type { OAuthLimits } from './limits.ts';
import { authorizationServer } from './metadata.ts';

/** How one system's authorization server is, where it does not keep to the standards. */
interface Ways {
  endpoints(base: string): { authorization: string; token: string; revocation?: string };
  /** Where it is when the manifest does not say. */
  usual(source: OAuthSource): string;
  /** What the authorization request has besides. */
  parameters?: Record<string, string>;
  /** Where scopes of people are asked for, and what stands between them. */
  scopes?: { parameter: string; separator: string };
  /** Scopes that it adds by itself, and that open nothing but who the person is, or the next renewal. */
  implied?: readonly string[];
  /** As it may write a scope in its answers. */
  plain?(scope: string): string;
  /** Its token answers, as RFC 6749 has them. */
  standard?(answer: JsonObject): JsonObject;
  /** A renewal may ask for less (RFC 6749 §6). */
  narrows: boolean;
  /** Revoking an access token ends it, and nothing else. */
  endsTokens: boolean;
  /** Revoking what came of one consent takes back what came of the others of that person, to this client. */
  revokesAll?: boolean;
  /** What is revoked at the end: where nothing else is taken, the access token. */
  revokes: 'refresh_token' | 'access_token';
  /** An access token serves several tasks: it gives two at most at a time. */
  shares?: boolean;
  /** The credential's parts besides the token, of the token answer. */
  part?: { name: string; member: string; isValid(value: string, base: string): boolean };
}

/** Nobody here reads who the person is there, so nobody vouches for it either. */
const withoutIdToken = ({ id_token: _, ...answer }: JsonObject): JsonObject => answer;

const identity = ['openid', 'profile', 'email', 'offline_access'];

const ways: Record<Exclude<OAuthSource['system'], 'other'>, Ways> = {
  slack: {
    usual: () => 'https://slack.com',
    endpoints: (base) => ({
      authorization: `${base}/oauth/v2/authorize`,
      token: `${base}/api/oauth.v2.access`,
      revocation: `${base}/api/auth.revoke`,
    }),
    // Of the person, not of a bot.
    scopes: { parameter: 'user_scope', separator: ',' },
    standard(answer): JsonObject {
      const { ok, error, authed_user: user } = answer;
      if (ok !== true)
        return {
          error:
            typeof error === 'string'
              ? error.replace(/^invalid_refresh_token$|^token_expired$/, 'invalid_grant')
              : 'invalid_request',
        };
      const of = isJsonObject(user) && user.access_token !== undefined ? user : answer;
      const scope = typeof of.scope === 'string' ? of.scope.replaceAll(',', ' ') : undefined;
      return {
        ...of,
        token_type: 'bearer',
        ...(scope !== undefined && { scope }),
      };
    },
    narrows: false,
    endsTokens: false,
    revokes: 'access_token',
    revokesAll: true,
    shares: true,
  },
  google: {
    usual: () => 'https://accounts.google.com',
    endpoints: (base) => {
      const api = base === 'https://accounts.google.com' ? 'https://oauth2.googleapis.com' : base;
      return { authorization: `${base}/o/oauth2/v2/auth`, token: `${api}/token`, revocation: `${api}/revoke` };
    },
    // Without these it gives a refresh token the first time only, and later ones with whatever was granted before.
    parameters: { access_type: 'offline', prompt: 'consent', include_granted_scopes: 'false' },
    standard: withoutIdToken,
    implied: [
      ...identity,
      'https://www.googleapis.com/auth/userinfo.email',
      'https://www.googleapis.com/auth/userinfo.profile',
    ],
    narrows: false,
    endsTokens: false,
    revokesAll: true,
    revokes: 'refresh_token',
  },
  microsoft: {
    usual: ({ tenant }) => `https://login.microsoftonline.com/${tenant}`,
    endpoints: (base) => ({ authorization: `${base}/oauth2/v2.0/authorize`, token: `${base}/oauth2/v2.0/token` }),
    parameters: { prompt: 'select_account' },
    standard: withoutIdToken,
    implied: identity,
    plain: (scope) => scope.replace(/^https:\/\/graph\.microsoft\.com\//, ''),
    narrows: false,
    endsTokens: false,
    revokes: 'refresh_token',
  },
  salesforce: {
    usual: () => 'https://login.salesforce.com',
    endpoints: (base) => ({
      authorization: `${base}/services/oauth2/authorize`,
      token: `${base}/services/oauth2/token`,
      revocation: `${base}/services/oauth2/revoke`,
    }),
    standard: withoutIdToken,
    implied: ['refresh_token', 'offline_access', 'id', 'openid'],
    narrows: false,
    endsTokens: true,
    revokes: 'refresh_token',
    part: {
      name: 'instanceUrl',
      member: 'instance_url',
      isValid: (value, base) => {
        const url = URL.parse(value);
        return (
          url !== null &&
          url.pathname === '/' &&
          ((url.protocol === 'https:' && /(?:^|\.)(?:salesforce|force)\.com$/.test(url.hostname)) ||
            url.origin === base)
        );
      },
    },
  },
  jira: {
    usual: () => 'https://auth.atlassian.com',
    endpoints: (base) => ({ authorization: `${base}/authorize`, token: `${base}/oauth/token` }),
    parameters: { audience: 'api.atlassian.com', prompt: 'consent' },
    implied: ['offline_access'],
    narrows: false,
    endsTokens: false,
    revokes: 'refresh_token',
  },
};

/** Scopes that people grant so that the access can be renewed at all. */
const renewing: Partial<Record<OAuthSource['system'], string>> = {
  microsoft: 'offline_access',
  salesforce: 'refresh_token',
  jira: 'offline_access',
};

export interface OAuthPlace {
  as: AuthorizationServer;
  /** What its way back is named after: without an issuer, the address that gets the codes. */
  name: string;
  /** Calls to it, with answers as the standards have them. */
  web: GuardedFetch;
  /** The members of an authorization request that are this system's. */
  request(scopes: readonly string[]): Record<string, string>;
  /** Of what was granted, what was not asked for; undefined where there is nothing. */
  beyond(granted: readonly string[], asked: readonly string[]): string | undefined;
  narrows: boolean;
  revokes: 'refresh_token' | 'access_token';
  shares: boolean;
}

/** Known without asking anybody. */
export const endsTokens = (source: OAuthSource): boolean =>
  source.system === 'other' ? source.endsTokens : ways[source.system].endsTokens;

/** Known without asking anybody. */
export const revokesAll = ({ system }: OAuthSource): boolean => system !== 'other' && ways[system].revokesAll === true;

/** What else of the token answer is a part of the credential. Throws nothing: what is not valid is not there. */
export const partOf = (source: OAuthSource) => (source.system === 'other' ? undefined : ways[source.system].part);

export const baseOf = (source: OAuthSource): string =>
  (source.url ?? (source.system === 'other' ? '' : ways[source.system].usual(source))).replace(/\/+$/, '');

/** Where a provider's tokens are to be had. Reads metadata where the manifest names an issuer. */
export async function openPlace(source: OAuthSource, outbound: Outbound, limits: OAuthLimits): Promise<OAuthPlace> {
  const { system, issuer, endpoints: given } = source;
  const own = system === 'other' ? undefined : ways[system];
  const base = baseOf(source);
  const endpoints = own ? own.endpoints(base) : given;
  const named = [issuer, ...Object.values(endpoints ?? {})].filter((each) => each !== undefined);
  const plainWeb = createGuardedFetch(
    outbound,
    { named, allowPrivateAddress: source.allowPrivateAddress, ca: source.ca },
    limits,
  );
  const as: AuthorizationServer = endpoints
    ? {
        issuer: own ? base : new URL(endpoints.token).origin,
        authorization_endpoint: endpoints.authorization,
        token_endpoint: endpoints.token,
        ...(endpoints.revocation !== undefined && { revocation_endpoint: endpoints.revocation }),
        token_endpoint_auth_methods_supported: ['client_secret_post', 'none'],
      }
    : await authorizationServer(plainWeb, issuer ?? '', false);
  const standard = own?.standard;
  const plain = own?.plain ?? ((scope: string) => scope);
  const { parameter, separator } = own?.scopes ?? { parameter: 'scope', separator: ' ' };
  return {
    as,
    name: own === undefined && given !== undefined ? given.token : as.issuer,
    web: standard
      ? { ...plainWeb, fetch: async (...call) => standardized(await plainWeb.fetch(...call), standard) }
      : plainWeb,
    request(scopes) {
      const offline =
        renewing[system] ??
        (system === 'other' && as.scopes_supported?.includes('offline_access') ? 'offline_access' : undefined);
      const all = [...new Set([...scopes, ...(offline === undefined ? [] : [offline])])];
      return {
        ...own?.parameters,
        // OpenID Connect Core §11: without it many give no refresh token.
        ...(system === 'other' && offline !== undefined && { prompt: 'consent' }),
        [parameter]: all.join(separator),
      };
    },
    beyond(granted, asked) {
      const may = new Set([...asked.map(plain), ...(own?.implied ?? identity)]);
      return granted.find((each) => !may.has(plain(each)));
    },
    narrows: own?.narrows ?? true,
    revokes: own?.revokes ?? 'refresh_token',
    shares: own?.shares ?? false,
  };
}

/** As the standards have it, also where errors are answered with 200. */
async function standardized(response: Response, standard: (answer: JsonObject) => JsonObject): Promise<Response> {
  const answer: unknown = await response
    .clone()
    .json()
    .catch(() => undefined);
  if (!isJsonObject(answer)) return response;
  const body = standard(answer);
  return Response.json(body, { status: body.error === undefined ? 200 : 400 });
}
