import { randomUUID } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { Provider } from 'oidc-provider';

export type ForeignAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA';

/**
 * An OpenID provider of somebody else (npm oidc-provider) on a free port: discovery, key set and its own tokens are the library's. `sign` makes
 * tokens with the claims of a platform that cannot run here, with the provider's own keys.
 */
export async function openForeignIssuer(audience: string) {
  const algorithms: ForeignAlgorithm[] = ['RS256', 'PS256', 'ES256', 'EdDSA'];
  const pairs = new Map<ForeignAlgorithm, CryptoKey>();
  const jwks: JWK[] = [];
  for (const alg of algorithms) {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    pairs.set(alg, privateKey);
    jwks.push({ ...(await exportJWK(privateKey)), alg, use: 'sig', kid: alg.toLowerCase() });
  }
  let provider: RequestListener = (_request, response) => response.writeHead(503).end();
  const requests: string[] = [];
  /** Answers in the provider's place, for what a broken or hostile issuer does. */
  let instead:
    | ((url: string) => { status: number; headers?: Record<string, string>; body: unknown } | undefined)
    | undefined;
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    const other = instead?.(request.url ?? '');
    if (!other) return void provider(request, response);
    response
      .writeHead(other.status, { 'content-type': 'application/json', ...other.headers })
      .end(JSON.stringify(other.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const library = new Provider(url, {
    jwks: { keys: jwks },
    clients: [
      {
        client_id: 'deploy-service',
        client_secret: 'test-only',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => ({
          scope: '',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
        }),
      },
    },
  });
  provider = library.callback() as RequestListener;

  return {
    url,
    requests,
    answerInstead(answer: typeof instead) {
      instead = answer;
    },
    /** A token by the provider itself (client credentials, RFC 9068). */
    async issue(): Promise<string> {
      const response = await fetch(`${url}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa('deploy-service:test-only')}` },
        body: new URLSearchParams({ grant_type: 'client_credentials', resource: audience }),
      });
      return ((await response.json()) as { access_token: string }).access_token;
    },
    sign(
      claims: Record<string, unknown>,
      {
        alg = 'RS256',
        header,
        key,
      }: { alg?: ForeignAlgorithm; header?: Record<string, unknown>; key?: CryptoKey } = {},
    ): Promise<string> {
      const now = Math.floor(Date.now() / 1000);
      return new SignJWT({ iss: url, aud: audience, iat: now, exp: now + 300, jti: randomUUID(), ...claims })
        .setProtectedHeader({ alg, kid: alg.toLowerCase(), typ: 'JWT', ...header })
        .sign(key ?? (pairs.get(alg) as CryptoKey));
    },
    key: (alg: ForeignAlgorithm) => pairs.get(alg) as CryptoKey,
    publicJwks: () => ({ keys: jwks.map(({ d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...rest }) => rest) }),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type ForeignIssuer = Awaited<ReturnType<typeof openForeignIssuer>>;
