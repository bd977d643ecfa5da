import { z } from 'zod';
import { name } from './names.ts';

/**
 * intended → created → active → revoking → revoked, or stuck where the provider has refused for long, which goes on being tried, or dropped where
 * two people have given that up. Each step is durable before what it says happens.
 */
export const leaseStates = ['intended', 'created', 'active', 'revoking', 'revoked', 'stuck', 'dropped'] as const;
export type LeaseState = (typeof leaseStates)[number];

/** A just-in-time credential as people see it: never the credential itself. */
export interface LeaseView {
  id: string;
  provider: string;
  state: LeaseState;
  agent: string;
  task: string;
  environment: string;
  /** What it is for: the tool server (`server:NAME`), or `direct`: it was handed out. */
  purpose: string;
  /** True: handed out to a client that calls by itself. */
  ungated: boolean;
  /** True: for one call. */
  singleUse: boolean;
  /** The name outside. */
  name: string;
  /** What it may do there. */
  scope: unknown;
  /** Why it lives shorter than was asked for, or than its provider usually gives. */
  clamped: string[];
  /** The first action that used it, or gave it out; null for none. */
  handedBy: string | null;
  /** For how long after its end was asked for it may still work somewhere; null: until it expires. */
  maxResidualSeconds: number | null;
  intendedAt: number;
  createdAt: number | null;
  activeAt: number | null;
  expiresAt: number;
  /** Where it works on past that, and nobody can end it: until then at most; null: no longer than `expiresAt`. */
  worksUntil: number | null;
  renewals: number;
  renewedAt: number | null;
  /** What no renewal goes beyond, the earliest first. */
  bounds: { at: number; why: string }[];
  revokingAt: number | null;
  /** When it was verified to be gone. */
  revokedAt: number | null;
  /** Why it ended. */
  reason: string | null;
  /** Attempts at ending it that failed. */
  attempts: number;
  /** When the first of them was. */
  failingSince: number | null;
  /** Whether nothing of it works once its time is over, also where its provider is away by then. */
  endsByItself: boolean;
  /** Who asked to give it up, and who agreed. */
  drop: {
    askedBy: string;
    askedAt: number;
    reason: string;
    /** When the last that may be left of it ends by itself; null: it works until somebody ends it there. */
    remainsUntil: number | null;
    agreedBy: string | null;
    agreedAt: number | null;
  } | null;
  nextTryAt: number | null;
  problem: string | null;
}

/** What a kind of provider can do, as people who rely on it are told. */
export interface ProviderAbilities {
  /** Issues less than all that it may issue. */
  canNarrow: boolean;
  /** Ends one before its time. */
  canRevoke: boolean;
  /** Ends what was opened with it (database sessions). */
  canEndSessions: boolean;
  /** For how long after its end was asked for it may still work somewhere; null: until it expires. */
  maxResidualSeconds: number | null;
  /** Nothing there ends one by itself when its time is over: while Gatehouse is away it works on. */
  endsOnlyByGatehouse?: boolean;
  /** It ends there by itself, but so long after its time at most: while Gatehouse or its provider is away it works on until then. */
  pastItsTimeSeconds?: number;
  /** It works for so long at least, however short a time was asked for. */
  leastSeconds?: number;
  /** What was opened with it goes on past its time, until whoever it was opened at ends it. */
  sessionsOutlive?: boolean;
  /** The same value for every task, which works until somebody changes it where it is kept. */
  isStored?: boolean;
}

/** What kinds of provider give no credential less than; it can't be told from what is asked for. */
const leastSeconds: Readonly<Record<string, number>> = { aws: 900, azure: 5_400 };
export const leastSecondsOf = (type: string): number => leastSeconds[type] ?? 0;

/** What issues it, as it is declared now. */
export interface ProviderKind {
  type: string;
  /** `canRenew`: lets one that is in use live longer, instead of issuing another. */
  abilities: ProviderAbilities & { canRenew: boolean };
}

/** `kind`: null where its provider is declared no more. `agentOwner`: null where it is of no agent that is declared. */
export type ShownLease = LeaseView & { kind: ProviderKind | null; agentOwner: string | null };

export interface ProviderView extends ProviderKind {
  name: string;
  environments: string[];
  life: { defaultSeconds: number; maxSeconds: number };
  /** That tasks may be handed its credentials, as its manifest says; null: the gate alone uses them. */
  direct: { tier: 1 | 2 | 3; maxSeconds: number; perTask: number; perHour: number } | null;
  /** The only tool servers that its credentials are sent to, by origin; null: wherever a manifest says. */
  destinations: readonly string[] | null;
  /** Leases that it may still know, and those of them that could not be ended for long. */
  openLeases: number;
  stuckLeases: number;
  /** Whether it would issue now. */
  ok: boolean;
  problem: string | null;
  /** Since when it would not, as the replica that answers has seen it. */
  failingSince: number | null;
  /** What the system behind it has to trust, as it takes it: a public key. */
  trust?: string;
}

export interface ProviderTest {
  ok: boolean;
  /** Milliseconds until it was issued, and until it was verified to be gone; that is null where only its time ends it. */
  issueMs: number | null;
  revokeMs: number | null;
  problem: string | null;
}

export const leaseBodies = {
  leaseQuery: z.strictObject({
    limit: z.coerce.number().int().min(1).max(200).default(50),
    cursor: z.string().max(1_000).optional(),
    agent: z.string().max(200).optional(),
    task: z.string().max(200).optional(),
    provider: name.optional(),
    state: z.enum(leaseStates).optional(),
    /** `true`: only what a provider may still know. */
    open: z.enum(['true', 'false']).optional(),
  }),
  renewLease: z.strictObject({ ttlSeconds: z.number().int().min(5).max(3_600).optional() }),
  dropLease: z.strictObject({ reason: z.string().min(1).max(500) }),
  revokeLease: z.strictObject({ reason: z.string().max(500).default('') }),
};

export interface LeasesApi {
  'GET /leases': { items: ShownLease[]; cursor: string | null };
  'GET /leases/:id': ShownLease;
  'POST /leases/:id/revoke': LeaseView;
  'POST /leases/:id/renew': LeaseView;
  'POST /leases/take-over': { leases: number };
  'POST /leases/:id/drop': LeaseView;
  'POST /leases/:id/drop/agree': LeaseView;
  'GET /providers': { items: ProviderView[] };
  'POST /providers/:name/test': ProviderTest;
}
