import { generateKeyPairSync } from 'node:crypto';
import { type CanBePromise, type JsonValue, Provider, type TokenEndpointGrantContext } from 'oidc-provider';
import { clientAddress, limits, type Outbound } from '../../platform/index.ts';
import type { Peers } from '../client-certificate/peers.ts';
import { ID_JAG_TYPE } from '../delegation/company-tokens.ts';
import type { TokenReader } from '../tokens/authenticate.ts';
import { AGENT_ALGORITHMS } from '../tokens/jws.ts';
import { MCP_PATH } from '../tokens/resources.ts';
import { authorizationParameters, backchannelFeature, consentPolicy, leaveBrowserAlone } from './authorization.ts';
import { assertionProblem, CLOCK_TOLERANCE_SECONDS } from './client-assertion.ts';
import { mutualTls, takeJwtSvids } from './client-authentication.ts';
import { type ClientMetadataPolicy, clientMetadataFeature, fetchThrough } from './client-metadata.ts';
import { ignoreRegisteredScopes, registrationFeature } from './dynamic-clients.ts';
import { clientCredentialsParameters, createClientCredentialsGrant } from './grants/client-credentials.ts';
import { createConsentedGrants } from './grants/consented.ts';
import { createIdJagGrant } from './grants/id-jag.ts';
import { createJwtBearerGrant, type JwtBearerDependencies, jwtBearerParameters } from './grants/jwt-bearer.ts';
import { createTokenExchangeGrant, tokenExchangeParameters } from './grants/token-exchange.ts';
import { authorizationLimits } from './limits.ts';
import { oauthError } from './oauth-error.ts';
import { createAdapters } from './provider-adapter.ts';
import { handleRefusals, type RefusalDependencies } from './provider-refusals.ts';
import { DEVICE_PAGE, endpoints, grantTypes, TOKEN_EXCHANGE } from './server-metadata.ts';
import { activeAgent, audienceOf, type GrantHandler } from './token-answer.ts';
import { createTokenStatus } from './token-status.ts';
import { createPollPace } from './unfinished-requests.ts';

/**
 * oidc-provider as Gatehouse uses it: client authentication, what may be asked at the authorization, device and backchannel
 * endpoints, the codes that follow, the token endpoint's rules, introspection and revocation. Consent is asked for by our own pages,
 * and tokens are made by issue-access-token.ts. Everything else that it can do is off. Loaded on first use, for it takes a fifth of a second to import.
 */
export interface ProviderDependencies extends JwtBearerDependencies, RefusalDependencies {
  reader: TokenReader;
  peers: Peers;
  /** Where client certificates are asked for: the public URL itself, or that of a port of its own. Undefined: nowhere. */
  mutualTlsUrl: string | undefined;
  outbound: Outbound;
  /** Whose metadata documents are read. */
  clientMetadata: ClientMetadataPolicy;
  /** True: anybody may register a client (RFC 7591). */
  dynamicClients: boolean;
}

export function createProvider(dependencies: ProviderDependencies): Provider {
  const { publicUrl, registry } = dependencies;
  const library = new Map<string, GrantHandler>();
  /** Keeps hold of the handlers that the library registers for itself, so that ours can run them. */
  class GatehouseProvider extends Provider {
    override registerGrantType<Params extends object>(
      name: string,
      handler: (ctx: TokenEndpointGrantContext<Params>) => CanBePromise<void>,
      ...others: (string | readonly string[] | ReadonlySet<string> | undefined)[]
    ): void {
      library.set(name, handler as unknown as GrantHandler);
      super.registerGrantType(name, handler, ...others);
    }
  }
  const provider = new GatehouseProvider(publicUrl, {
    adapter: createAdapters(dependencies),
    // The library insists on a key. It signs nothing here, and nothing accepts a token signed with this one.
    jwks: { keys: [generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })] },
    routes: {
      authorization: endpoints.authorize,
      token: endpoints.token,
      introspection: endpoints.introspect,
      revocation: endpoints.revoke,
      pushed_authorization_request: endpoints.par,
      device_authorization: endpoints.device,
      code_verification: DEVICE_PAGE,
      backchannel_authentication: endpoints.backchannel,
      registration: endpoints.register,
    },
    features: {
      clientCredentials: { enabled: true },
      // Of others' tokens nobody hears anything, and revoking them does nothing.
      introspection: { enabled: true, allowedPolicy: isOwn },
      revocation: { enabled: true, allowedPolicy: isOwn },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_ctx, _client, oneOf) => oneOf ?? publicUrl + MCP_PATH,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => {
          audienceOf(resource, publicUrl);
          return { scope: '', audience: resource, accessTokenFormat: 'opaque', accessTokenTTL: limits.tokenTtlSeconds };
        },
      },
      // Who asks, for the page: where the connection comes from, whatever headers say, and what the client calls itself.
      deviceFlow: {
        enabled: true,
        deviceInfo: (ctx) => ({ ip: clientAddress(ctx.req), ua: ctx.get('user-agent').slice(0, 300) }),
      },
      ciba: backchannelFeature(dependencies),
      clientIdMetadataDocument: clientMetadataFeature(dependencies.clientMetadata),
      devInteractions: { enabled: false },
      // Proofs are checked by proof.ts, here as at the doors.
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: true },
      registration: registrationFeature(dependencies.dynamicClients),
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
      mTLS: mutualTls(dependencies),
    },
    responseTypes: ['code'],
    pkce: { required: () => true },
    ...authorizationParameters(dependencies),
    interactions: consentPolicy(publicUrl),
    fetch: fetchThrough(dependencies.outbound, dependencies.clientMetadata, dependencies.clock),
    scopes: [],
    clientAuthMethods: ['private_key_jwt', 'tls_client_auth', 'none'],
    clientDefaults: { id_token_signed_response_alg: 'ES256', token_endpoint_auth_method: 'none' },
    findAccount: (_ctx, email) =>
      registry.snapshot().people.has(email) ? { accountId: email, claims: async () => ({ sub: email }) } : undefined,
    loadExistingGrant: async ({ oidc }) => {
      const grantId = oidc.result?.consent?.grantId;
      if (grantId === undefined) return undefined;
      // The library asks for a scope or for this as a sign that something was granted; what was granted stands in the grant.
      if (oidc.params) oidc.params.authorization_details ??= '[]';
      return oidc.provider.Grant.find(grantId);
    },
    expiresWithSession: async () => false,
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: () => true,
    ttl: {
      AccessToken: limits.tokenTtlSeconds,
      AuthorizationCode: authorizationLimits.codeTtlSeconds,
      DeviceCode: authorizationLimits.requestTtlSeconds,
      BackchannelAuthenticationRequest: (ctx) =>
        Math.min(
          authorizationLimits.requestTtlSeconds,
          Math.max(authorizationLimits.askMinTtlSeconds, Number(ctx.oidc.params?.requested_expiry ?? Infinity)),
        ),
      Interaction: authorizationLimits.requestTtlSeconds,
      RefreshToken: limits.taskTtlSeconds,
      Grant: limits.taskTtlSeconds,
      Session: authorizationLimits.requestTtlSeconds,
    },
    enabledJWA: { clientAuthSigningAlgValues: [...AGENT_ALGORITHMS] },
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    clientBasedCORS: () => false,
    renderError: async (ctx, out) => {
      const isBrowser = ctx.path.startsWith(endpoints.authorize) && ctx.get('accept').includes('text/html');
      if (!isBrowser) {
        ctx.body = out;
        return;
      }
      // For a person's browser: as text, which nothing in it can make a page of.
      ctx.type = 'text/plain';
      ctx.body = `Gatehouse refuses this request.\n\n${out.error}: ${out.error_description ?? ''}\n\nGo back to the application that sent you here, and begin again.`;
    },
    assertJwtClientAuthClaimsAndHeader: (_ctx, claims, header, client) => {
      checkAssertion(claims, header, publicUrl);
      if (registry.snapshot().agents.has(client.clientId)) activeAgent(dependencies, client.clientId);
    },
  });
  // Only what authorization-server.ts wrote into these headers is in them.
  provider.proxy = true;
  takeJwtSvids(provider);
  ignoreRegisteredScopes(provider);
  const grants: [string, GrantHandler, readonly string[]][] = [
    ['client_credentials', createClientCredentialsGrant(dependencies), clientCredentialsParameters],
    [TOKEN_EXCHANGE, createTokenExchangeGrant(dependencies), tokenExchangeParameters],
    ...createConsentedGrants({
      ...dependencies,
      provider: () => provider,
      library: new Map(library),
      pollsTooSoon: createPollPace(dependencies.clock),
    }),
    [
      grantTypes.jwtBearer,
      createJwtBearerGrant(dependencies, new Map([[ID_JAG_TYPE, createIdJagGrant(dependencies)]])),
      jwtBearerParameters,
    ],
  ];
  for (const [name, handler, parameters] of grants) provider.registerGrantType(name, handler, parameters, 'resource');
  handleRefusals(provider, dependencies);
  provider.use(createTokenStatus(dependencies));
  provider.use(leaveBrowserAlone(provider));
  return provider;
}

const isOwn = (_ctx: unknown, { clientId }: { clientId: string }, token: { clientId?: string }) =>
  token.clientId === clientId;

/** Beyond what the library has checked; the time is the machine's, as the library has it. */
function checkAssertion(claims: Record<string, JsonValue>, header: Record<string, JsonValue>, publicUrl: string): void {
  const audiences = [publicUrl, publicUrl + endpoints.token];
  const problem = assertionProblem(claims, header, { audiences, nowMs: Date.now() });
  if (problem !== undefined) throw refused(problem);
}

const refused = (reason: string) => oauthError('invalid_client', `The client assertion is refused: ${reason}.`, 401);
