import { createHash, type JsonWebKey, verify } from 'node:crypto';
import { type EndorsedValue, endorsedValue, type GrantTerms, grantTerms } from '@gatehouse/protocol';
import { z } from 'zod';
import type { VerifiedAssertion } from '../identity/index.ts';
import { parseStrictJson } from '../platform/index.ts';
import { approvalChallenge, type ListedApproval, listChallenge, type SignedWith } from './subject.ts';

/**
 * A yes as it is kept: everything that is needed to verify it without us, and nothing else. The record `approval.approve` carries
 * the digest of its canonical form.
 */
const evidence = z.strictObject({
  v: z.literal(1),
  approval: z.string(),
  digest: z.string(),
  /** Values that were endorsed with it. */
  endorse: z.array(endorsedValue).optional(),
  /** All that were signed with one gesture; this one is among them. */
  list: z.array(z.strictObject({ approval: z.string(), digest: z.string() })).optional(),
  /** More calls like it that were granted with it. */
  grant: grantTerms.optional(),
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
});
export type ApprovalEvidence = z.infer<typeof evidence>;

export function evidenceOf(
  approval: { id: string; digest: string },
  verified: VerifiedAssertion,
  { endorse = [], list, grant }: SignedWith & { list?: readonly ListedApproval[] } = {},
): ApprovalEvidence {
  const { person, passkey, publicKey, rpId, origin, response } = verified;
  return evidence.parse({
    v: 1,
    approval: approval.id,
    digest: approval.digest,
    ...(endorse.length > 0 && { endorse }),
    ...(list && { list }),
    ...(grant && { grant }),
    person,
    passkey,
    publicKey,
    rpId,
    origin,
    response,
  });
}

const clientData = z.object({ type: z.literal('webauthn.get'), challenge: z.string(), origin: z.string() });
const USER_PRESENT_AND_VERIFIED = 0x05;

/**
 * Says what is wrong with a kept yes, or null: WebAuthn Level 3 section 7.2 with the standard library alone. Whether that key was
 * the person's is told by the record `passkey.enrol`, not by this.
 */
export function evidenceProblem(
  text: string | null,
  of: { id: string; digest: string; decidedBy: string | null; origin: string },
): string | null {
  if (text === null) return 'there is no assertion';
  try {
    const kept = evidence.parse(parseStrictJson(Buffer.from(text)));
    const { clientDataJSON, authenticatorData, signature } = kept.response;
    const client = Buffer.from(clientDataJSON, 'base64url');
    const authenticator = Buffer.from(authenticatorData, 'base64url');
    const signed = clientData.parse(parseStrictJson(client));
    if (kept.approval !== of.id || kept.digest !== of.digest) return 'it is about another approval';
    if (kept.person !== of.decidedBy) return 'it is of another person';
    if (kept.list && !kept.list.some(({ approval, digest }) => approval === of.id && digest === of.digest))
      return 'the list that was signed does not hold it';
    const challenge = kept.list ? listChallenge(kept.list) : approvalChallenge(of.id, of.digest, kept);
    if (signed.challenge !== Buffer.from(challenge).toString('base64url')) return 'another challenge was signed';
    if (signed.origin !== of.origin || kept.origin !== of.origin) return 'it was signed for another origin';
    if (!authenticator.subarray(0, 32).equals(sha256(kept.rpId))) return 'it was signed for another relying party';
    if (((authenticator[32] ?? 0) & USER_PRESENT_AND_VERIFIED) !== USER_PRESENT_AND_VERIFIED)
      return 'its signer was not verified';
    const key = kept.publicKey as JsonWebKey;
    const hash = kept.publicKey.alg === 'EdDSA' ? null : 'sha256';
    const message = Buffer.concat([authenticator, sha256(client)]);
    return verify(hash, message, { key, format: 'jwk' }, Buffer.from(signature, 'base64url'))
      ? null
      : 'the signature does not fit';
  } catch (error) {
    return `it cannot be read: ${(error as Error).message}`;
  }
}

/** A kept yes, or null where there is none or it can't be read. */
export function parseEvidence(text: string | null): ApprovalEvidence | null {
  return text === null ? null : (evidence.safeParse(JSON.parse(text)).data ?? null);
}

/** What a kept yes endorsed. */
export function endorsedBy(text: string | null): EndorsedValue[] {
  return parseEvidence(text)?.endorse ?? [];
}

/** What a kept yes granted. */
export function grantedBy(text: string | null): GrantTerms | undefined {
  return parseEvidence(text)?.grant;
}

function sha256(data: string | Uint8Array): Buffer {
  return createHash('sha256').update(data).digest();
}
