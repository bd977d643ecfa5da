import { createHmac, randomBytes } from 'node:crypto';
import { constantTimeEqual } from '../../platform/index.ts';

/**
 * Server-provided DPoP nonces (RFC 9449 §§8, 9). They are made from a secret of this process, so a proof that carries one is
 * good on this replica only: with nonces required, no proof can be replayed on another replica.
 */
export interface ProofNonces {
  current(now: number): string;
  accepts(nonce: string, now: number): boolean;
}

/** A nonce is good for the step it was made in and the next: at most `2 * STEP_MS`. */
const STEP_MS = 60_000;
export const PROOF_NONCE_MAX_LIFE_MS = 2 * STEP_MS;

export function createProofNonces(secret: Uint8Array = randomBytes(32)): ProofNonces {
  const at = (step: number) => createHmac('sha256', secret).update(`dpop-nonce:${step}`).digest('base64url');
  return {
    current: (now) => at(Math.floor(now / STEP_MS)),
    accepts(nonce, now) {
      const step = Math.floor(now / STEP_MS);
      return constantTimeEqual(nonce, at(step)) || constantTimeEqual(nonce, at(step - 1));
    },
  };
}
