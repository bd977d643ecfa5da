import { GatehouseError } from '../../platform/index.ts';
import type { ProveKey } from '../people/index.ts';
import type { NoteRefusal } from '../refusals.ts';
import { CredentialError } from './credential-error.ts';
import type { Proofs } from './proof.ts';

interface Dependencies {
  proofs: Proofs;
  publicUrl: string;
  noteRefusal: NoteRefusal;
}

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
export function createSessionProof({ proofs, publicUrl, noteRefusal }: Dependencies) {
  return ({ dpop, method, path }: ProvenRequest): ProveKey =>
    async (token) => {
      try {
        if (dpop === undefined)
          throw new CredentialError(
            'invalid_dpop_proof',
            'proof.missing',
            'This session is bound to a key: send a DPoP proof (RFC 9449) by it in the DPoP header, for this request.',
          );
        proofs.check({ proof: dpop, method, url: publicUrl + path, token });
      } catch (error) {
        if (!(error instanceof CredentialError)) throw error;
        // Whoever comes without the key has somebody's session, perhaps.
        await noteRefusal({ at: `${method} ${path.slice(0, 200)}`, code: error.code, why: error.message });
        const extra = error.kind === 'use_dpop_nonce' ? { dpopNonce: proofs.nonce() } : {};
        throw new GatehouseError('unauthenticated', error.code, error.message, { cause: error, extra });
      }
    };
}

export type SessionProof = ReturnType<typeof createSessionProof>;
