import { z } from 'zod';

/** What a person has found out about an action of which nobody knew whether it ran. */
export const resolution = z.strictObject({
  what: z.enum(['happened', 'not-happened', 'cannot-be-known']),
  /** What was looked at, and what was seen. */
  note: z.string().trim().min(1).max(1_000),
  /** Where it can be looked up: a ticket, a transaction, an address. */
  reference: z.string().trim().min(1).max(500).optional(),
});
export type Resolution = z.infer<typeof resolution>;

/** As a record has it. */
export interface RecordedResolution extends Resolution {
  /** `person:EMAIL`, or `operator`. */
  by: string;
  /** RFC 3339. */
  at: string;
}

/** An action that may have changed something, and of which nobody knows whether it ran. */
export interface UnknownAction {
  actionId: string;
  agent: string;
  task: string;
  environment: string;
  tool: string;
  /** Milliseconds since the epoch. */
  sentAt: number;
  unknownAt: number;
  /** Why nobody knows. */
  detail: string;
}
