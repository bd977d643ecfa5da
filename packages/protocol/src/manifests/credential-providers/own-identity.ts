import { z } from 'zod';
import type { CredentialKind } from './kind.ts';

/** Certificates of Gatehouse's own trust domain, for what takes client certificates. */
export const x509SvidSource = z.strictObject({ type: z.literal('x509-svid') });
export type X509SvidSource = z.infer<typeof x509SvidSource>;

/** Tokens that Gatehouse signs, for what verifies them with its published keys. */
export const signedJwtSource = z.strictObject({
  type: z.literal('signed-jwt'),
  /** The one for whom they are. Nobody else is to take them; Gatehouse itself does not. */
  audience: z.string().min(1).max(500),
});
export type SignedJwtSource = z.infer<typeof signedJwtSource>;

/** Who it is in which task is all that they say: there is nothing to ask for, and so nothing less. */
const nothing = z.strictObject({});
type Nothing = z.infer<typeof nothing>;
const asItIs = { scope: nothing, narrow: () => ({ scope: {} }), meet: () => ({ scope: {} }) };

export const x509SvidKind: CredentialKind<X509SvidSource, Nothing> = {
  ...asItIs,
  from: x509SvidSource,
  parts: () => ['certificate', 'key', 'bundle'],
};

export const signedJwtKind: CredentialKind<SignedJwtSource, Nothing> = {
  ...asItIs,
  from: signedJwtSource,
  parts: () => ['token'],
};
