import { type EndorsedValue, endorsedValue, type GrantTerms, grantTerms } from '@gatehouse/protocol';
import { z } from 'zod';
import type { PasskeyVerification, VerifiedAssertion } from '../identity/index.ts';
import { parseStrictJson } from '../platform/index.ts';
import { keyProblem, signatureProblem, signedOf, signedParts } from './signed.ts';
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
  ...signedParts,
});
export type ApprovalEvidence = z.infer<typeof evidence>;

export function evidenceOf(
  approval: { id: string; digest: string },
  verified: VerifiedAssertion,
  { endorse = [], list, grant }: SignedWith & { list?: readonly ListedApproval[] } = {},
): ApprovalEvidence {
  return evidence.parse({
    v: 1,
    approval: approval.id,
    digest: approval.digest,
    ...(endorse.length > 0 && { endorse }),
    ...(list && { list }),
    ...(grant && { grant }),
    ...signedOf(verified),
  });
}

/** Says what is wrong with a kept yes, or null: also where its key was never enrolled for whose yes it is said to be. */
export async function keptYesProblem(
  text: string | null,
  of: Parameters<typeof evidenceProblem>[1],
  people: Pick<PasskeyVerification, 'wasEnrolled'>,
): Promise<string | null> {
  const kept = parseEvidence(text);
  return evidenceProblem(text, of) ?? (kept && keyProblem(kept, people));
}

/** Says what is wrong with the text of a kept yes, or null. Whether that key was the person's is told by what was enrolled, not by this. */
export function evidenceProblem(
  text: string | null,
  of: { id: string; digest: string; decidedBy: string | null; origin: string },
): string | null {
  if (text === null) return 'there is no assertion';
  try {
    const kept = evidence.parse(parseStrictJson(Buffer.from(text)));
    if (kept.approval !== of.id || kept.digest !== of.digest) return 'it is about another approval';
    if (kept.person !== of.decidedBy) return 'it is of another person';
    if (kept.list && !kept.list.some(({ approval, digest }) => approval === of.id && digest === of.digest))
      return 'the list that was signed does not hold it';
    const challenge = kept.list ? listChallenge(kept.list) : approvalChallenge(of.id, of.digest, kept);
    return signatureProblem(kept, challenge, of.origin);
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
