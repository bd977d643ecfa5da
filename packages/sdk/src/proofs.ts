import * as dpop from 'dpop';

/** Makes DPoP proofs (RFC 9449) and remembers the nonce that each origin last asked for. */
export interface Prover {
  proof(url: string, method: string, token: string): Promise<string>;
  /** True when the answer brought a nonce that was not used yet: the request is worth one more try. */
  learn(url: string, response: Response): boolean;
}

export function createProver(keys: dpop.KeyPair): Prover {
  const nonces = new Map<string, string>();
  return {
    proof: (url, method, token) => dpop.generateProof(keys, url, method, nonces.get(new URL(url).origin), token),
    learn(url, response) {
      const nonce = response.headers.get('dpop-nonce');
      const { origin } = new URL(url);
      if (nonce === null || nonces.get(origin) === nonce) return false;
      nonces.set(origin, nonce);
      return true;
    },
  };
}
