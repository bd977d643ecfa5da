import { GatehouseError } from '../../platform/index.ts';
import type { ProveKey } from '../people/index.ts';
import { CredentialError } from './credential-error.ts';
import type { Proofs } from './proof.ts';

/** A request that carries a session of the command line: `path` as it was sent, without its query. */
export interface ProvenRequest {
  dpop: string | undefined;
  method: string;
  path: string;
}

/**
 * The proof beside such a session (RFC 9449 §7), checked as agents' are. Throws `unauthenticated` GatehouseErrors; `extra.dpopNonce`,
 * if any, is the DPoP-Nonce value.
 */
export function createSessionProof({ proofs, publicUrl }: { proofs: Proofs; publicUrl: string }) {
  return ({ dpop, method, path }: ProvenRequest): ProveKey =>
    (token) => {
      if (dpop === undefined)
        throw new GatehouseError(
          'unauthenticated',
          'proof.missing',
          'This session is bound to a key: send a DPoP proof (RFC 9449) by it in the DPoP header, for this request.',
        );
      try {
        proofs.check({ proof: dpop, method, url: publicUrl + path, token });
      } catch (error) {
        if (!(error instanceof CredentialError)) throw error;
        const extra = error.kind === 'use_dpop_nonce' ? { dpopNonce: proofs.nonce() } : {};
        throw new GatehouseError('unauthenticated', error.code, error.message, { cause: error, extra });
      }
    };
}

export type SessionProof = ReturnType<typeof createSessionProof>;
