import { randomBytes } from 'node:crypto';
import { exportJWK, type JWK } from 'jose';
import {
  type AuthorizationServer,
  allowInsecureRequests,
  calculatePKCECodeChallenge,
  customFetch,
  DPoP,
  generateKeyPair,
  processPushedAuthorizationResponse,
  pushedAuthorizationRequest,
  validateAuthResponse,
} from 'oauth4webapi';
import {
  authorizationServer,
  callbackOf,
  createPendingConsents,
  FORMER_PATH,
  type GuardedFetch,
  isSameBrowser,
  nameInPath,
  newHandle,
  type OAuthClient,
  oauthFailure,
  type PendingConsent,
  type RegisteredClient,
  registeredClient,
  requestToken,
  stateOf,
  wrong,
} from '../../../credentials/index.ts';
import { GatehouseError, Secret } from '../../../platform/index.ts';
import type { Sealer } from '../../../storage/index.ts';
import { noChallenge, readChallenge } from './challenge.ts';
import { configuredClient, register } from './client.ts';
import { CONNECT_PATH, clientMetadata, publishedMetadataUrl } from './client-metadata.ts';
import { discover } from './discovery.ts';
import { bindingOf } from './grant-store.ts';
import { guardOf } from './guard.ts';
import { openProofKey } from './proof-key.ts';
import { selectScopes } from './scopes.ts';
import type { AuthorizedPlace, AuthorizerDependencies } from './token-source.ts';
import type { AuthorizedTransport, ConnectBegun, OAuthSettings } from './types.ts';

/** An authorization request between its beginning and the browser's return. */
export interface PendingServer extends PendingConsent {
  what: 'server';
  server: string;
  environment: string;
  binding: string;
  verifier: string;
  resource: string;
  scopes: string[] | null;
  clientId: string;
  registered: { id: string; secret: string | null; method: string | null } | null;
  key: JWK | null;
  mustBind: boolean;
}

export interface ConnectDependencies extends AuthorizerDependencies {
  sealer: Sealer;
}

type CodeSettings = Extract<OAuthSettings, { grant: 'authorization_code' }>;

export function createConnect(deps: ConnectDependencies) {
  const { storage, recordChange, grants, clock, limits, publicUrl } = deps;
  const consents = createPendingConsents<PendingServer>(deps);

  return {
    /** What is asked for is decided here; the address is to be opened by whoever begins, in their own browser. */
    async begin(place: AuthorizedPlace, by: string): Promise<ConnectBegun> {
      const { server, environment, transport } = place;
      const settings = transport.authorization as CodeSettings;
      const web = guardOf(deps.outbound, transport, settings, limits);
      const [need, had] = await Promise.all([grants.need(place), grants.read(place)]);
      const challenge =
        need === undefined
          ? await probe(transport)
          : { ...noChallenge, scopes: need.scopes, resourceMetadata: need.resourceMetadata };
      const { as, resource, resourceScopes, boundOnly } = await discover(web, transport, settings, challenge);
      if (as.authorization_endpoint === undefined) throw wrong(`${as.issuer} has no authorization endpoint.`);
      if (as.code_challenge_methods_supported?.includes('S256') !== true)
        throw wrong(`${as.issuer} does not say that it supports PKCE with S256, without which a code could be stolen.`);
      const redirectUri = callbackOf(publicUrl, as.issuer);
      const { client, registered } = await clientFor(place, settings, as, web);
      const isSame = had?.binding === bindingOf(transport) && had.token.issuer === as.issuer;
      const scopes = selectScopes({
        had: isSame ? had.token.scopes : [],
        challenged: challenge.scopes,
        resource: resourceScopes,
        server: as.scopes_supported,
        allowed: settings.scopes,
        offline: true,
      });
      const offersBinding = as.dpop_signing_alg_values_supported?.includes('ES256') === true;
      const mustBind = settings.dpop === 'required' || boundOnly;
      if (mustBind && (!offersBinding || settings.dpop === 'off'))
        throw wrong(
          `Tokens must be bound to a key, but ${offersBinding ? 'the manifest turns that off' : `${as.issuer} does not offer it`}.`,
        );
      const key =
        offersBinding && settings.dpop !== 'off' ? await generateKeyPair('ES256', { extractable: true }) : undefined;
      const handle = newHandle();
      const state = stateOf(handle);
      const verifier = randomBytes(32).toString('base64url');
      const parameters: Record<string, string> = {
        response_type: 'code',
        client_id: client.id,
        redirect_uri: redirectUri,
        state,
        code_challenge: await calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        resource,
        ...(scopes !== undefined && { scope: scopes.join(' ') }),
        // OpenID Connect Core §11: without it many give no refresh token.
        ...(scopes?.includes('offline_access') && { prompt: 'consent' }),
        ...(key && { dpop_jkt: await DPoP({}, key).calculateThumbprint() }),
      };
      const url = await authorizationUrl(web, as, client, parameters);
      const expiresAt = clock.now() + limits.connectTtlMs;
      const pending: PendingServer = {
        what: 'server',
        server,
        environment,
        binding: bindingOf(transport),
        by,
        state,
        verifier,
        issuer: as.issuer,
        resource,
        scopes: scopes ?? null,
        clientId: client.id,
        registered: registered
          ? { id: registered.id, secret: registered.secret?.reveal() ?? null, method: registered.method ?? null }
          : null,
        key: key ? await exportJWK(key.privateKey) : null,
        mustBind,
        url,
        redirectUri,
      };
      await storage.transaction(async (transaction) => {
        await consents.keep(transaction, pending, expiresAt);
        await recordChange(transaction, {
          operation: 'server.connect-begin',
          by,
          environment,
          changes: [
            `connecting the tool server ${server} at ${as.issuer} begun, scopes: ${(scopes ?? []).join(' ').slice(0, 1_000) || 'none named'}`,
          ],
        });
      });
      return { url: `${publicUrl}${CONNECT_PATH}${handle}`, issuer: as.issuer, scopes: scopes ?? [], expiresAt };
    },

    /** What the browser brought back, with its cookies. `transportOf` gives the server as the manifest has it now. */
    async finish(
      pending: PendingServer,
      query: URLSearchParams,
      cookies: string | undefined,
      transportOf: (server: string, environment: string) => AuthorizedTransport | undefined,
    ): Promise<{ server: string; environment: string; by: string }> {
      const { server, environment, issuer, clientId, state } = pending;
      if (!isSameBrowser(cookies, state, publicUrl.startsWith('https:'))) {
        await storage.transaction((transaction) =>
          recordChange(transaction, {
            operation: 'server.connect-refused',
            by: 'gatehouse',
            environment,
            changes: [
              `connecting the tool server ${server} at ${issuer}, begun by ${pending.by}, was to be finished in another browser`,
            ],
          }),
        );
        throw new GatehouseError(
          'forbidden',
          'upstream.other-browser',
          `This was begun in another browser, so ${server} was not connected and nothing was fetched. If somebody sent you a link, take back the access that you have just granted. If you began it, connect again and stay in one browser.`,
        );
      }
      const place = { server, environment };
      const transport = transportOf(server, environment);
      if (transport === undefined || bindingOf(transport) !== pending.binding)
        throw new GatehouseError(
          'conflict',
          'upstream.changed',
          `The manifest of ${server} has changed meanwhile. Connect it again.`,
        );
      const settings = transport.authorization as CodeSettings;
      const web = guardOf(deps.outbound, transport, settings, limits);
      const as = await authorizationServer(web, issuer, settings.allowLegacyDiscovery);
      const registered: RegisteredClient | undefined = pending.registered
        ? {
            id: pending.registered.id,
            secret: pending.registered.secret === null ? undefined : new Secret(pending.registered.secret),
            method: pending.registered.method ?? undefined,
          }
        : undefined;
      const client = registered ? registeredClient(registered) : await configuredClient(deps, settings, as, clientId);
      let parameters: URLSearchParams;
      try {
        // State, and `iss` (RFC 9207): an answer of another authorization server goes to no token endpoint.
        parameters = validateAuthResponse(as, { client_id: clientId }, query, state);
      } catch (error) {
        throw oauthFailure(issuer, error);
      }
      const token = await requestToken({
        web,
        as,
        client,
        grantType: 'authorization_code',
        parameters: {
          code: parameters.get('code') ?? '',
          redirect_uri: pending.redirectUri ?? publicUrl + FORMER_PATH,
          code_verifier: pending.verifier,
        },
        resource: pending.resource,
        scopes: undefined,
        key: pending.key ? await openProofKey(pending.key) : undefined,
        mustBind: pending.mustBind,
        limits,
        now: clock.now(),
      });
      const granted = { ...token, scopes: token.scopes.length > 0 ? token.scopes : (pending.scopes ?? []) };
      await storage.transaction(async (transaction) => {
        await grants.put(transaction, place, {
          token: granted,
          registered,
          binding: pending.binding,
          connectedBy: pending.by,
          connectedAt: clock.now(),
        });
        await recordChange(transaction, {
          operation: 'server.connect',
          by: pending.by,
          environment,
          changes: [
            `tool server ${server} connected at ${issuer} as ${clientId.slice(0, 300)}`,
            `scopes: ${granted.scopes.join(' ').slice(0, 1_000) || 'none named'}; ${token.key ? 'bound to a key' : 'bearer'}; ${token.refreshToken ? 'renewable' : 'not renewable'}`,
          ],
        });
      });
      return { server, environment, by: pending.by };
    },
  };

  /** The server is asked for what it would not give to anybody, to hear what it wants. */
  async function probe(transport: AuthorizedTransport) {
    const answer = await deps.outbound.fetch(transport.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }),
      allowPrivateAddress: transport.allowPrivateAddress,
      maxBytes: limits.oauthBytes,
      timeoutMs: limits.oauthTimeoutMs,
    });
    return answer.status === 401 ? readChallenge(answer.headers) : noChallenge;
  }

  /** The manifest's client; else our metadata document, where the server takes that; else a registration, where the manifest allows it. */
  async function clientFor(
    place: AuthorizedPlace,
    settings: CodeSettings,
    as: AuthorizationServer,
    web: GuardedFetch,
  ): Promise<{ client: OAuthClient; registered?: RegisteredClient }> {
    if (settings.clientId !== undefined)
      return { client: await configuredClient(deps, settings, as, settings.clientId) };
    const redirectUri = callbackOf(publicUrl, as.issuer);
    const metadataUrl = publishedMetadataUrl(publicUrl, settings.clientMetadataUrl, as.issuer);
    if (as.client_id_metadata_document_supported === true && metadataUrl !== undefined)
      return { client: await configuredClient(deps, settings, as, metadataUrl) };
    if (settings.allowRegistration && as.registration_endpoint !== undefined) {
      const known = await grants.client(place, redirectUri);
      const registered = known ?? (await register(web, as, clientMetadata(publicUrl, nameInPath(as.issuer))));
      if (known === undefined) await grants.putClient(place, { issuer: as.issuer, redirectUri }, registered);
      return { client: registeredClient(registered), registered };
    }
    throw wrong(
      `${as.issuer} does not know Gatehouse. Register ${redirectUri} there as a client and give its \`clientId\` in the manifest, or set \`allowRegistration: true\` if it may register itself.`,
    );
  }

  async function authorizationUrl(
    web: GuardedFetch,
    as: AuthorizationServer,
    client: OAuthClient,
    parameters: Record<string, string>,
  ): Promise<string> {
    const url = new URL(as.authorization_endpoint as string);
    if (as.require_pushed_authorization_requests !== true) {
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
      return url.href;
    }
    try {
      const response = await pushedAuthorizationRequest(as, { client_id: client.id }, client.authenticate, parameters, {
        [customFetch]: web.fetch,
        [allowInsecureRequests]: true,
        signal: AbortSignal.timeout(limits.oauthTimeoutMs),
      });
      const { request_uri } = await processPushedAuthorizationResponse(as, { client_id: client.id }, response);
      url.searchParams.set('client_id', client.id);
      url.searchParams.set('request_uri', request_uri);
      return url.href;
    } catch (error) {
      throw oauthFailure(as.issuer, error);
    }
  }
}
