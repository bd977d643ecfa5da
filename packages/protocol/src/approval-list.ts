import { z } from 'zod';

const listed = z.array(
  z.strictObject({ approval: z.string().min(1).max(64), digest: z.string().regex(/^sha256-[0-9a-f]{64}$/) }),
);

export const approvalListBodies = {
  /** By id, each with the digest of what was shown. */
  options: z.strictObject({ approvals: listed }),
  approve: z.strictObject({ approvals: listed, assertion: z.record(z.string(), z.unknown()) }),
} as const;
