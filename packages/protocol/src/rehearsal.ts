import { z } from 'zod';
import type { EndedCredentials } from './ended-credentials.ts';
import { type Manifest, manifest, type PlanChange } from './manifests/index.ts';
import type { Effective } from './records.ts';

/*
 * Policy changes before, while and after they are made: replayed over recorded actions, kept as versions, proposed to a second person,
 * observed without being enforced, and taken back.
 */

const note = z.string().max(1_000).default('');

export const rehearsalBodies = {
  replay: z
    .strictObject({
      /** Merged over the workspace, as a plan does. None of them: what the workspace of now makes of the past. */
      manifests: z.array(manifest).max(10_000).optional(),
      prune: z.boolean().default(false),
      /** Number of a proposal, in place of manifests: what it would change. The result is kept with it. */
      proposal: z.int().min(1).optional(),
      /** RFC 3339, or milliseconds since the epoch. Without it: 30 days before `until`. */
      since: z.string().max(40).optional(),
      until: z.string().max(40).optional(),
      /** Examples of each kind of difference. */
      limit: z.int().min(0).max(200).default(20),
    })
    .refine(({ manifests, proposal }) => (manifests === undefined) !== (proposal === undefined), {
      message: 'give either `manifests` or `proposal`',
    }),
  rollback: z.strictObject({ note }),
  options: z.strictObject({ digest: z.string().max(100) }),
  ship: z.strictObject({
    /** Of what was shown: a yes is for exactly this. */
    digest: z.string().max(100),
    /** Over the challenge of `POST /policy/proposals/:number/options`. */
    assertion: z.record(z.string(), z.unknown()),
  }),
  removePolicy: z.strictObject({ note }),
  reject: z.strictObject({ reason: z.string().max(500).default('') }),
} as const;

export const observedQuery = z.strictObject({
  /** As in a replay. */
  since: z.string().max(40).optional(),
  until: z.string().max(40).optional(),
  limit: z.coerce.number().int().min(0).max(200).default(20),
});

/** One value of a dimension (an agent, a tool …) and how many decisions differ there. */
export interface ReplayCount {
  name: string;
  count: number;
}

/** How one side decides. */
export interface ReplayVerdict {
  effect: Effective;
  tier: number;
  code: string;
  reason: string;
  policies: string[];
}

export interface ReplayExample {
  actionId: string;
  time: number;
  agent: string;
  template: string;
  tool: string;
  resource: string | null;
  /** As the workspace of now decides. */
  before: ReplayVerdict;
  /** As it would decide with the change. */
  after: ReplayVerdict;
}

/** Decisions that would differ in one way. Each list has its largest first, and ends with `(others)` where there are more. */
export interface ReplayDifference {
  count: number;
  agents: ReplayCount[];
  templates: ReplayCount[];
  tools: ReplayCount[];
  /** What decides with the change: its policies, or the code of the refusal where none did. */
  policies: ReplayCount[];
  examples: ReplayExample[];
}

export interface ReplayResult {
  since: number;
  until: number;
  /** Recorded decisions that were read. */
  decisions: number;
  /** Those that could be decided again. */
  replayed: number;
  unchanged: number;
  /** Ran or waited, and would be refused. */
  stops: ReplayDifference;
  /** Waited or was refused, and would run without a person. */
  runs: ReplayDifference;
  /** Ran or was refused, and would wait for a person. */
  waits: ReplayDifference;
  /** Would be decided alike, at another tier. */
  otherTier: number;
  /** Refused for what no policy decides: a stopped agent, a spent token, a replica that had lost touch. By code. */
  notPolicy: ReplayCount[];
  /** What is missing to decide them again: `arguments erased`, `task unknown`, `agent unknown`. */
  cannotReplay: ReplayCount[];
  /**
   * Decided otherwise then than the workspace of now decides without the change: policies, tools or people have changed since, or the
   * record does not say all that was known. They are part of the comparison above like all others.
   */
  decidedOtherwise: { count: number; examples: ReplayExample[] };
  /** What policies in observe mode would have changed, had they been enforced; with the change. */
  observed: ObservedPolicy[];
  policyVersion: { before: string; after: string };
  /** What it rests on, in words. */
  basis: string[];
  tookMs: number;
}

/** One line each (application/x-ndjson). The last one is the result or the problem. */
export type ReplayEvent =
  | { type: 'progress'; decisions: number /** Of the range of time, from 0 to 1. */; share: number }
  | { type: 'result'; result: ReplayResult }
  | { type: 'problem'; code: string; detail: string };

export interface ObservedPolicy {
  policy: string;
  stops: number;
  runs: number;
  waits: number;
  /** Action ids. */
  examples: string[];
}

export interface ObservedView {
  since: number;
  until: number;
  decisions: number;
  /** Policies in observe mode now, or that were then. */
  items: (ObservedPolicy & { /** It is in observe mode now. */ observing: boolean })[];
}

/** One state of everything that decides. `policyVersion` is what decisions and approvals carry. */
export interface PolicyVersionView {
  number: number;
  policyVersion: string;
  at: number;
  by: string;
  /** Who shipped it, where that is somebody else than who wrote it or had to be said with a passkey. */
  approvedBy: string | null;
  proposal: number | null;
  /** The version that it went back to. */
  rollbackTo: number | null;
  note: string;
  /** What differs from the version before, in words. */
  changes: string[];
  current: boolean;
}

export type ProposalState = 'open' | 'shipped' | 'rejected' | 'expired' | 'stale';

/** Why a change needs a second person: what it relaxes. */
export interface Relaxation {
  kind: string;
  name: string;
  why: string;
}

export interface ProposalView {
  number: number;
  state: ProposalState;
  author: string;
  note: string;
  /** Version that it was made against. */
  base: number;
  changes: PlanChange[];
  relaxes: Relaxation[];
  createdAt: number;
  expiresAt: number;
  /** What the host's token has proposed takes two people: `person:EMAIL` of the first one, once they have said yes. */
  agreedBy: string | null;
  decidedAt: number | null;
  decidedBy: string | null;
  reason: string | null;
  /** Of all that is shown: what the passkey signs. */
  digest: string;
  /** Where a person ships or rejects it. */
  url: string;
  /** Over the last 30 days, once that is done; `POST /policy/replay` with its number does it again. */
  replay: ReplayResult | null;
  /** Whoever asks may ship it; else why not. */
  mayShip: { may: boolean; why: string | null };
}

/** What a request was answered with where its change waits for a second person. */
export interface ProposedChange {
  number: number;
  url: string;
  relaxes: Relaxation[];
  expiresAt: number;
}

/** Part of `Api`. */
export interface RehearsalApi {
  /** Applied at once where it only tightens (a permit), proposed where it relaxes (a forbid) and somebody has to agree. */
  'POST /policies/:name/remove': { changes: PlanChange[]; proposed: ProposedChange | null };
  'POST /policy/replay': ReplayEvent;
  'GET /policy/observed': ObservedView;
  'GET /policy/versions': { items: PolicyVersionView[]; cursor: string | null };
  'GET /policy/versions/:number': PolicyVersionView & { manifests: Manifest[] };
  'POST /policy/versions/:number/plan': { changes: PlanChange[]; notes: string[]; ends: EndedCredentials };
  'POST /policy/versions/:number/rollback': {
    changes: PlanChange[];
    notes: string[];
    version: number | null;
    proposed: ProposedChange | null;
  };
  'GET /policy/proposals': { items: ProposalView[]; cursor: string | null };
  'GET /policy/proposals/:number': ProposalView & { manifests: Manifest[] };
  'POST /policy/proposals/:number/options': { options: unknown };
  'POST /policy/proposals/:number/ship': ProposalView;
  'POST /policy/proposals/:number/reject': ProposalView;
}
