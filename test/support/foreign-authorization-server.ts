import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { type ClientMetadata, errors, Provider } from 'oidc-provider';

/** oidc-provider as somebody else's authorization server: PKCE, resource indicators, DPoP with nonces, JWT access tokens. */
export interface ForeignAuthorizationServer {
  issuer: string;
  /** Grant types of the token requests it answered with a token. */
  grants: string[];
  /** Goes through sign-in and consent as a browser does; gives the address that it is sent back to. */
  consent(url: string): Promise<string>;
  close(): Promise<void>;
}

/** Where a gate's clients have their codes sent to by this server. */
export const wayBackTo = (gate: string, issuer: string) =>
  `${gate}/upstream/callback/${issuer.replace('http://', 'http:')}`;

/** `rotate`: a refresh token is good once, and used twice it ends all that came of the consent. `trusts`: whose identity assertions it takes (ID-JAG, and JWTs to be
 * exchanged), with their keys at `/oauth/jwks`. */
export async function startForeignAuthorizationServer(
  clients: ClientMetadata[] | ((issuer: string) => ClientMetadata[]),
  { rotate = false, trusts }: { rotate?: boolean; trusts?: string } = {},
): Promise<ForeignAuthorizationServer> {
  const http = createServer((request, response) => handle(request, response));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const provider = new Provider(issuer, {
    clients: typeof clients === 'function' ? clients(issuer) : clients,
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] },
    scopes: ['openid', 'offline_access', 'read', 'write'],
    pkce: { required: () => true },
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    ttl: {
      AccessToken: 600,
      ClientCredentials: 600,
      RefreshToken: 3_600,
      Grant: 3_600,
      Interaction: 600,
      Session: 600,
    },
    issueRefreshToken: async () => true,
    ...(rotate && { rotateRefreshToken: true }),
    // Its own keeps away from loopback, where the gate's keys are here.
    fetch(url, options) {
      const { dispatcher: _guarded, ...plain } = options as RequestInit & { dispatcher?: unknown };
      return fetch(url, plain);
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      introspection: { enabled: true },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => ({
          scope: 'read write',
          audience: resource,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
  const grants: string[] = [];
  provider.on('grant.success', (ctx) => grants.push(String(ctx.oidc.params?.grant_type)));
  if (process.env.GATEHOUSE_TEST_LOG)
    for (const event of ['grant.error', 'server_error', 'authorization.error', 'revocation.error'] as const)
      provider.on(event as 'grant.error', (_ctx, error) => console.error(event, error));
  if (trusts !== undefined) takeAssertions(provider, issuer, trusts);
  const callback = provider.callback();

  async function handle(...[request, response]: Parameters<ReturnType<Provider['callback']>>): Promise<void> {
    if (!request.url?.startsWith('/interaction/')) return callback(request, response);
    const { prompt, params, session } = await provider.interactionDetails(request, response);
    if (prompt.name === 'login') {
      await provider.interactionFinished(request, response, { login: { accountId: 'service-account' } });
      return;
    }
    const grant = new provider.Grant({ accountId: session?.accountId, clientId: String(params.client_id) });
    const scope = String(params.scope ?? '');
    grant.addOIDCScope(scope);
    grant.addResourceScope(String(params.resource), scope);
    const grantId = await grant.save();
    await provider.interactionFinished(request, response, { consent: { grantId } }, { mergeWithLastSubmission: true });
  }

  return {
    issuer,
    grants,
    async consent(url) {
      const jar = new Map<string, string>();
      let at = url;
      for (let steps = 0; steps < 10 && at.startsWith(issuer); steps++) {
        const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
        const answer = await fetch(at, { redirect: 'manual', headers: { cookie } });
        for (const set of answer.headers.getSetCookie()) {
          const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
          jar.set(name, value);
        }
        const location = answer.headers.get('location');
        if (location === null)
          throw new Error(`stuck at ${at}: ${answer.status} ${(await answer.text()).slice(0, 300)}`);
        at = new URL(location, at).href;
      }
      return at;
    },
    async close() {
      http.closeAllConnections();
      http.close();
    },
  };
}

/** RFC 7523 with an ID-JAG (draft-ietf-oauth-identity-assertion-authz-grant §4.4), and RFC 8693 with a JWT. */
function takeAssertions(provider: Provider, issuer: string, trusted: string): void {
  const keys = createRemoteJWKSet(new URL(`${trusted}/oauth/jwks`));
  const take = (name: string, parameter: string, typ: string) =>
    provider.registerGrantType(
      name,
      async (ctx) => {
        const { client, params } = ctx.oidc;
        const claims = await jwtVerify(String(params?.[parameter]), keys, {
          issuer: trusted,
          audience: issuer,
          typ,
        }).then(
          ({ payload }) => payload,
          () => undefined,
        );
        if (!client || !claims || claims.client_id !== client.clientId)
          throw new errors.InvalidGrant('not an assertion for this client');
        const grant = new provider.Grant({ accountId: String(claims.sub), clientId: client.clientId });
        grant.addOIDCScope(String(params?.scope));
        const token = new provider.AccessToken({
          ...{ accountId: String(claims.sub), client, grantId: await grant.save(), gty: 'assertion' },
          scope: String(params?.scope),
        } as never);
        ctx.body = {
          ...{
            access_token: await token.save(),
            expires_in: token.expiration,
            token_type: 'Bearer',
            scope: token.scope,
          },
          ...(parameter === 'subject_token' && { issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' }),
        };
      },
      [parameter, 'scope', 'subject_token_type', 'requested_token_type'],
    );
  take('urn:ietf:params:oauth:grant-type:jwt-bearer', 'assertion', 'oauth-id-jag+jwt');
  take('urn:ietf:params:oauth:grant-type:token-exchange', 'subject_token', 'JWT');
}
