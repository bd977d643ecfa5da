import { z } from 'zod';
import type { ApprovalProgress } from './approvals.ts';
import { email } from './names.ts';

/** Somebody who says yes to approvals in another person's place, for a time. Times are milliseconds since the epoch. */
export interface Deputy {
  id: string;
  /** In whose place. */
  person: string;
  deputy: string;
  from: number;
  until: number;
  reason: string;
  madeAt: number;
  /** `person:EMAIL`: the person themselves, with their passkey, or an admin, who only proposes. */
  madeBy: string;
  /** Null where the person has named the deputy, and while it is only proposed. */
  confirmedAt: number | null;
  confirmedBy: string | null;
  withdrawnAt: number | null;
  withdrawnBy: string | null;
  state: 'proposed' | 'ahead' | 'in-force' | 'over' | 'withdrawn';
}

const wanted = {
  deputy: email,
  /** Without one: from now on. */
  from: z.iso.datetime({ offset: true }).optional(),
  until: z.iso.datetime({ offset: true }),
  reason: z.string().max(500).default(''),
};

export const deputyBodies = {
  options: z.strictObject(wanted),
  create: z.strictObject({ ...wanted, assertion: z.unknown() }),
  /** Proposed by an admin, for somebody who can't say it themselves. */
  createFor: z.strictObject(wanted),
  confirm: z.strictObject({ assertion: z.unknown() }),
} as const;
export type NewDeputy = z.output<typeof deputyBodies.options>;

/** Who is on call, now and in the days ahead. */
export interface OnCallView {
  name: string;
  description: string | null;
  zone: string;
  /** Null: nobody. */
  now: string | null;
  shifts: { person: string | null; from: number; until: number }[];
}

export interface DecidersApi {
  'GET /deputies': { items: Deputy[] };
  'POST /deputies/options': { options: unknown };
  'POST /deputies': Deputy;
  'POST /people/:email/deputies': Deputy;
  'POST /deputies/:id/options': { options: unknown };
  'POST /deputies/:id/confirm': Deputy;
  'DELETE /deputies/:id': Deputy;
  'GET /on-call': { items: OnCallView[] };
  /** `byDevice`: the channel by which the caller may say yes on their own device, once they have looked. */
  'GET /approvals/:id/progress': ApprovalProgress & { byDevice: string | null };
  /** The code that the device shows as well. */
  'POST /approvals/:id/look': { code: string };
}
