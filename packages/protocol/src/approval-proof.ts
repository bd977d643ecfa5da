import type { Receipt } from './api.ts';
import type { EndorsedValue } from './approvals.ts';
import type { GrantTerms } from './standing-grants.ts';

/** What a passkey signed for a yes, and with which key (WebAuthn Level 3). Binary values in base64url. */
export interface YesEvidence {
  v: 1;
  approval: string;
  digest: string;
  /** Values that were endorsed with it. */
  endorse?: EndorsedValue[] | undefined;
  /** All that were signed with one gesture, by id; this one is among them. */
  list?: { approval: string; digest: string }[] | undefined;
  /** More calls like it that were granted with the same signature. */
  grant?: GrantTerms | undefined;
  person: string;
  /** Id of the credential. */
  passkey: string;
  /** JWK. */
  publicKey: Record<string, string>;
  rpId: string;
  origin: string;
  response: { id: string; clientDataJSON: string; authenticatorData: string; signature: string };
}

/** Who said yes, to what exactly: goes into a receipt, and verifies without us (`verifyApproval` of @gatehouse/verifier). */
export interface ApprovalProof {
  approval: string;
  /**
   * What was asked, as it was digested (`Approval.digest`). Before version 5 it has the arguments in clear, and is null where they are erased;
   * since then it has their salted digest, and stays.
   */
  subject: Record<string, unknown> | null;
  /** With a subject of version 5; null where they are erased. */
  arguments?: unknown;
  /** Salt of the digest that the records of the action have of its arguments, base64url; null where they are erased. */
  argumentsSalt: string | null;
  /** One for each person whose yes it took, with the record of it and that of the enrolment of the passkey. */
  yes: { evidence: YesEvidence; record: Receipt; enrolment: Receipt | null }[];
}
