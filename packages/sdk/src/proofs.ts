import { createHash, randomUUID } from 'node:crypto';
import type * as dpop from 'dpop';
import { exportJWK, type JWK, SignJWT } from 'jose';

/** Makes DPoP proofs (RFC 9449) and remembers the nonce that each origin last asked for. */
export interface Prover {
  /** Without a token: for the token endpoint. */
  proof(url: string, method: string, token?: string): Promise<string>;
  /** True when the answer brought a nonce that was not used yet: the request is worth one more try. */
  learn(url: string, response: Response): boolean;
}

/** `nowSeconds`: the time as the server has it. `dpop` makes proofs only by the local clock, which may be a minute off. */
export async function createProver(keys: dpop.KeyPair, nowSeconds: () => number): Promise<Prover> {
  const nonces = new Map<string, string>();
  const { kty, crv, x, y } = await exportJWK(keys.publicKey);
  const jwk = { kty, crv, x, y } as JWK;
  return {
    async proof(url, method, token) {
      const { origin, pathname } = new URL(url);
      const nonce = nonces.get(origin);
      const claims = {
        htu: origin + pathname,
        htm: method,
        ...(token !== undefined && { ath: createHash('sha256').update(token).digest('base64url') }),
        ...(nonce !== undefined && { nonce }),
      };
      return new SignJWT(claims)
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
        .setJti(randomUUID())
        .setIssuedAt(nowSeconds())
        .sign(keys.privateKey);
    },
    learn(url, response) {
      const nonce = response.headers.get('dpop-nonce');
      const { origin } = new URL(url);
      if (nonce === null || nonces.get(origin) === nonce) return false;
      nonces.set(origin, nonce);
      return true;
    },
  };
}
