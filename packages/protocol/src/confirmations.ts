import { z } from 'zod';
import type { SignInRequest } from './consents.ts';
import type { PlanChange, Role } from './manifests/index.ts';

/*
 * What a session of the command line asked for and has not been given: its person confirms it in a browser, and the same request then goes
 * through, once.
 */

/** Member `confirmation` of the problem `confirmation.needed` (403). `url` is to be opened by the person. */
export interface ConfirmationNeeded {
  id: string;
  url: string;
  expiresAt: number;
}

/** One change of a plan; `after`: the whole of what would be made. */
export type ShownChange = PlanChange & { after?: unknown };

export interface ConfirmationShown {
  /** The route's own words. */
  summary: string;
  /** `POST /agents/agent-a/keys`. */
  request: string;
  /** Of the request's body; null where `changes` say it all. What is secret is `[hidden]`. */
  body: unknown;
  /** What an apply would change, as found by doing it and taking it back; null for other requests. */
  changes: ShownChange[] | null;
  /** It changes who gets in and what they may: that takes a passkey. */
  changesWhoGetsIn: boolean;
}

export type ConfirmationState = 'open' | 'confirmed' | 'refused' | 'used';

export interface ConfirmationView {
  id: string;
  state: ConfirmationState;
  /** The session that asked; `host` as the computer calls itself, which nobody has checked. */
  commandLine: { host: string | null; since: number };
  person: { email: string; displayName: string; roles: Role[] };
  shown: ConfirmationShown;
  /** As when the command line signs in. */
  proof: SignInRequest['proof'];
  /** Of the request and of all that is shown: a yes is for exactly this. */
  digest: string;
  createdAt: number;
  /** Of the question; once confirmed, of the yes. */
  expiresAt: number;
}

export const confirmationBodies = {
  options: z.strictObject({ digest: z.string().max(100) }),
  confirm: z.strictObject({
    /** Of what was shown. */
    digest: z.string().max(100),
    /** Where the proof is a passkey: over the challenge of `POST /confirmations/:id/options`. */
    assertion: z.record(z.string(), z.unknown()).optional(),
  }),
} as const;
export type ConfirmationAnswer = z.infer<typeof confirmationBodies.confirm>;

/** Part of `Api`. A session of the command line sees and withdraws its own, and answers none. */
export interface ConfirmationRoutes {
  'GET /confirmations/:id': ConfirmationView;
  'POST /confirmations/:id/options': { options: unknown };
  'POST /confirmations/:id/confirm': { expiresAt: number };
  /** By its person, or by the session that asked; also after a yes, until it is used. */
  'POST /confirmations/:id/refuse': { ok: true };
}
