import { z } from 'zod';
import { toolPattern } from './names.ts';

export const breakGlassLimits = {
  /** Life of a break-glass grant at most: whoever needs longer breaks it again, and two people look again. */
  seconds: 3_600,
  /** Unless it is asked for otherwise. */
  defaultSeconds: 900,
  /** Both signatures are given within this time of the request. */
  signedWithinSeconds: 900,
  /** Requests of one person within an hour; a task has one at a time. */
  perPersonAndHour: 20,
  /** Tools that one names. */
  tools: 20,
} as const;

/** Of an environment: with which incident numbers the glass may be broken, and for how long; `off`: not at all. */
export const breakGlassSettings = z.union([
  z.literal('off'),
  z.strictObject({
    /** What the number of an incident begins with: `INC-`. */
    incidentPrefix: z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,19}$/, 'letters, digits and - such as INC-'),
    maxSeconds: z.int().min(60).max(breakGlassLimits.seconds).default(breakGlassLimits.seconds),
  }),
]);

export const breakGlassRequest = z.strictObject({
  task: z.string().max(200),
  tools: z
    .array(
      toolPattern.refine(
        (each) => !each.includes('*') && !each.includes('#'),
        'names of tools, such as shop/refund_order',
      ),
    )
    .min(1)
    .max(breakGlassLimits.tools),
  incident: z.string().min(1).max(40),
  reason: z.string().min(10, 'say what has happened and what it is for').max(1_000),
  seconds: z.int().min(60).max(breakGlassLimits.seconds).default(breakGlassLimits.defaultSeconds),
});
export type BreakGlassRequest = z.infer<typeof breakGlassRequest>;

export type BreakGlassState = 'asked' | 'signed' | 'open' | 'over' | 'ended' | 'lapsed';

/** What two people sign: for this task, these tools run without an approval for so long. */
export interface BreakGlassSubject {
  id: string;
  agent: string;
  agentEpoch: number;
  task: string;
  tools: string[];
  incident: string;
  reason: string;
  seconds: number;
  requestedBy: string;
  requestedAt: number;
}

export interface BreakGlass extends BreakGlassSubject {
  /** `asked` and `signed`: by nobody and by one; `open`: calls run on it; `over`: its time is; `lapsed`: never opened. */
  state: BreakGlassState;
  /** SHA-256 over the RFC 8785 form of `{v: 1, breakGlass: subject}`; the first signs this, the second `{v: 1, breakGlass, first, until}`. */
  digest: string;
  firstBy: string | null;
  secondBy: string | null;
  until: number | null;
  endedAt: number | null;
  endedBy: string | null;
  /** It was open, and nobody has looked at what was done under it yet. */
  needsReview: boolean;
  reviewedBy: string | null;
  reviewedAt: number | null;
  review: string | null;
}

const webauthnJson = z.record(z.string(), z.unknown());

export const breakGlassBodies = {
  /** `until`: as the options gave it; null for the first of the two. */
  sign: z.strictObject({ assertion: webauthnJson, until: z.int().nullable() }),
  review: z.strictObject({ note: z.string().min(10, 'say what was done and whether it was needed').max(2_000) }),
} as const;

export interface BreakGlassApi {
  'GET /break-glass': { items: BreakGlass[] };
  'GET /break-glass/:id': BreakGlass;
  'POST /break-glass': BreakGlass;
  'POST /break-glass/:id/options': { options: unknown; until: number | null };
  'POST /break-glass/:id/sign': BreakGlass;
  'POST /break-glass/:id/end': BreakGlass;
  'POST /break-glass/:id/review': BreakGlass;
}
