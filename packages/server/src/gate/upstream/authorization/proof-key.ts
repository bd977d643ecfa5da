import { importJWK, type JWK } from 'jose';
import type { ProofKey } from './types.ts';

/** A sealed proof key as it is used: exportable, to be sealed again when its token is renewed. */
export async function openProofKey(jwk: JWK): Promise<ProofKey> {
  const { d: _private, ...open } = jwk;
  const [privateKey, publicKey] = await Promise.all([
    importJWK(jwk, 'ES256', { extractable: true }),
    importJWK(open, 'ES256', { extractable: true }),
  ]);
  return { privateKey, publicKey } as ProofKey;
}
