import { z } from 'zod';

/** What evidence can be made for. `questions`: those that a security review asks first. */
export const evidenceFramework = z.enum(['questions', 'soc2', 'iso27001', 'hipaa', 'eu-ai-act', 'owasp-asi']);
export type EvidenceFramework = z.infer<typeof evidenceFramework>;

/** `no-data`: nothing of the kind happened in the period. `not-covered`: Gatehouse has nothing to say about it. */
export type EvidenceStatus = 'met' | 'not-met' | 'no-data' | 'not-covered';

/** One thing that was looked at in the workspace's own data. */
export interface EvidenceCheck {
  id: string;
  /** What has to be true. */
  claim: string;
  /** What was asked of the database, to be asked again. */
  queries: string[];
  status: Exclude<EvidenceStatus, 'not-covered'>;
  finding: string;
  figures: Record<string, number | string | null>;
  /** The first of what speaks against it, or else of what was counted. */
  examples: string[];
  /** Records that it rests on, whose receipts come with the report. */
  records: { log: string; sequence: number }[];
}

export interface EvidenceControl {
  id: string;
  title: string;
  status: EvidenceStatus;
  /** Ids of checks. */
  checks: string[];
  /** What stays to be shown by other means; of `not-covered` always. */
  remark: string | null;
}

/** Signed by being logged: its digest (SHA-256 of the RFC 8785 form) stands in the record `evidence.export`, and the receipt of that proves it. */
export interface EvidenceReport {
  v: 1;
  framework: { id: EvidenceFramework; title: string };
  workspace: string;
  /** RFC 3339. */
  from: string;
  to: string;
  madeAt: string;
  madeBy: string;
  logs: { id: string; vkey: string; size: number }[];
  controls: EvidenceControl[];
  checks: EvidenceCheck[];
}

/** As `Receipt`, with the log's key. */
export interface EvidenceReceipt {
  log: string;
  sequence: number;
  entry: string;
  proof: string;
  vkey: string;
}

export interface Evidence {
  report: EvidenceReport;
  digest: string;
  /** Of the record that the report was made, with its digest. Null where the log is broken, so that it proves nothing. */
  receipt: EvidenceReceipt | null;
  /** Of the records that its checks name. */
  receipts: EvidenceReceipt[];
  html: string;
  /** Base64. */
  pdf: string;
}

export interface EvidenceApi {
  'POST /evidence': Evidence;
}

export const makeEvidence = z.strictObject({
  framework: evidenceFramework,
  /** A day in UTC, RFC 3339, `-90d`, or milliseconds since the epoch. */
  from: z.string().max(40),
  to: z.string().max(40),
});
