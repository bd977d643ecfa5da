import { createHash, type JsonWebKey, verify } from 'node:crypto';
import { z } from 'zod';
import type { PasskeyVerification, VerifiedAssertion } from '../identity/index.ts';
import { parseStrictJson } from '../platform/index.ts';

/** A signature of a passkey as it is kept: all that is needed to verify it without us. */
export const signedParts = {
  person: z.string(),
  passkey: z.string(),
  publicKey: z.record(z.string(), z.string()),
  rpId: z.string(),
  origin: z.string(),
  response: z.strictObject({
    id: z.string(),
    clientDataJSON: z.string(),
    authenticatorData: z.string(),
    signature: z.string(),
  }),
};
const signed = z.object(signedParts);
export type Signed = z.infer<typeof signed>;

export const signedOf = ({ person, passkey, publicKey, rpId, origin, response }: VerifiedAssertion): Signed =>
  signed.parse({ person, passkey, publicKey, rpId, origin, response });

const clientData = z.object({ type: z.literal('webauthn.get'), challenge: z.string(), origin: z.string() });
const USER_PRESENT_AND_VERIFIED = 0x05;

/** What is wrong with a kept signature over this challenge, or null: WebAuthn Level 3 section 7.2 with the standard library alone. */
export function signatureProblem(kept: Signed, challenge: Uint8Array, origin: string): string | null {
  const { clientDataJSON, authenticatorData, signature } = kept.response;
  const client = Buffer.from(clientDataJSON, 'base64url');
  const authenticator = Buffer.from(authenticatorData, 'base64url');
  const said = clientData.parse(parseStrictJson(client));
  if (said.challenge !== Buffer.from(challenge).toString('base64url')) return 'another challenge was signed';
  if (said.origin !== origin || kept.origin !== origin) return 'it was signed for another origin';
  if (!authenticator.subarray(0, 32).equals(sha256(kept.rpId))) return 'it was signed for another relying party';
  if (((authenticator[32] ?? 0) & USER_PRESENT_AND_VERIFIED) !== USER_PRESENT_AND_VERIFIED)
    return 'its signer was not verified';
  const key = kept.publicKey as JsonWebKey;
  const hash = kept.publicKey.alg === 'EdDSA' ? null : 'sha256';
  const message = Buffer.concat([authenticator, sha256(client)]);
  return verify(hash, message, { key, format: 'jwk' }, Buffer.from(signature, 'base64url'))
    ? null
    : 'the signature does not fit';
}

/** Says it where the key of a kept signature was never its person's: by itself it verifies against any key that it brings. */
export async function keyProblem(
  { person, publicKey }: Pick<Signed, 'person' | 'publicKey'>,
  people: Pick<PasskeyVerification, 'wasEnrolled'>,
): Promise<string | null> {
  return (await people.wasEnrolled(person, publicKey)) ? null : `its key was never enrolled for ${person}`;
}

function sha256(data: string | Uint8Array): Buffer {
  return createHash('sha256').update(data).digest();
}
