import { z } from 'zod';

/** Signing keys and key-encryption keys. Times are milliseconds since the epoch. */

export interface KeyPurposeView {
  /** `access-token`, `log` … */
  purpose: string;
  /** What the keys sign, in words. */
  signs: string;
  algorithm: string;
  /** Oldest first. `next` is published and does not sign yet; `verifying` signs no more, and what it signed may be alive. */
  keys: { kid: string; state: 'next' | 'signing' | 'verifying'; createdAt: number; signsFrom: number }[];
  /** When it rotates by itself; null when it never does. */
  nextRotation: number | null;
  /** Why it cannot be rotated, and what to do instead; null when it can. */
  whyFixed: string | null;
}

export interface KeyEncryptionView {
  /** Follows from the key and tells nothing about it. */
  id: string;
  /** Where it comes from: `file:…`, `openbao:…`. */
  source: string;
  state: 'current' | 'held' | 'retiring' | 'retired';
  createdAt: number;
  /** Whether the replica that answers holds it. */
  held: boolean;
}

/** How far the sealed values have come to the current key-encryption key, as the replica that does it knows. */
export interface RewrapView {
  state: 'idle' | 'running' | 'done' | 'failed';
  /** Id of the key that everything is to be sealed with; null when idle. */
  to: string | null;
  /** Values looked at, and how many there are. */
  looked: number;
  of: number;
  /** Values that were sealed anew. */
  rewrapped: number;
  problem: string | null;
}

export const keyBodies = {
  rotateKeys: z.strictObject({ compromised: z.boolean().default(false) }),
  rewrap: z.strictObject({ to: z.string().max(2_000).optional() }),
} as const;

export interface KeyApi {
  'GET /keys': { purposes: KeyPurposeView[]; encryption: KeyEncryptionView[]; rewrap: RewrapView };
  'POST /keys/:purpose/rotate': { kid: string; signsFrom: number; acknowledged: string[]; expired: string[] };
  'POST /keys/rewrap': RewrapView;
}
