import { z } from 'zod';

const id = z.string().min(1).max(200);

/** What records are found by. All that is given has to fit. */
export const recordFilter = z.strictObject({
  agent: id.optional(),
  task: id.optional(),
  /** Who asked, for whom it was done, or who made the change: their email. */
  person: id.optional(),
  tool: id.optional(),
  /** Every tool of it. */
  server: id.optional(),
  resource: z.string().min(1).max(500).optional(),
  effect: z.enum(['allow', 'deny', 'needs-approval']).optional(),
  /** Of the decision: `policy.no-permit`, `tool.held` … */
  code: id.optional(),
  result: z.enum(['success', 'failure', 'anomalous', 'unknown']).optional(),
  approval: id.optional(),
  /** A ticket, or a change request. */
  ticket: id.optional(),
  operation: id.optional(),
  environment: id.optional(),
  template: id.optional(),
  kind: z.enum(['request', 'dispatch', 'outcome', 'change']).optional(),
  /** A lease, or the name of a secret. */
  credential: id.optional(),
  /** One label, or several with commas between: all of them. */
  label: z.string().min(1).max(300).optional(),
  /** Words, each of which stands in the record's own text; `refu*` is the beginning of one. Bodies are not searched. */
  text: z.string().min(1).max(300).optional(),
  /** RFC 3339 with its offset, milliseconds since the epoch, `-7d` (s, m, h, d) before now, or the time at a place with `zone`. */
  from: z.string().max(40).optional(),
  to: z.string().max(40).optional(),
  /** IANA time zone of `from` and `to` where they name none: Europe/Berlin. */
  zone: z.string().min(1).max(60).optional(),
  /** `shown`: also what was recorded because somebody looked at the record, which lists of actions leave out. */
  reads: z.enum(['shown', 'left-out']).optional(),
});
export type RecordFilter = z.infer<typeof recordFilter>;
