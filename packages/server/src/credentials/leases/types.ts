import type { Json, Secret } from '../../platform/index.ts';

/**
 * intended → created → active → revoking → revoked, or stuck where the provider has refused for long, which goes on being tried. Each step is
 * durable before what it says happens.
 */
export const leaseStates = ['intended', 'created', 'active', 'revoking', 'revoked', 'stuck'] as const;
export type LeaseState = (typeof leaseStates)[number];

/** States in which a provider may know the credential. */
export const openStates = ['intended', 'created', 'active', 'revoking', 'stuck'] as const satisfies LeaseState[];
/** States in which it may be used. */
export const liveStates = ['created', 'active'] as const satisfies LeaseState[];

/** What a kind of provider can do, as people who rely on it are told. */
export interface Abilities {
  /** Issues less than all that it may issue. */
  canNarrow: boolean;
  /** Ends one before its time. */
  canRevoke: boolean;
  /** Ends what was opened with it (database sessions). */
  canEndSessions: boolean;
  /** For how long after its end was asked for it may still work somewhere; null: until it expires. */
  maxResidualSeconds: number | null;
}

/** What a provider is to make. */
export interface Order {
  /** `lse_…` */
  lease: string;
  /** The name outside, made from the lease's id, so that whatever was half made is found again. */
  name: string;
  /** Subset of what the provider may issue. */
  scope: Json;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  agent: string;
  task: string;
}

/** What a provider has made. */
export interface Made {
  /** What is sent or handed out, by name: `username`, `password`, `token` … */
  credential: Record<string, Secret>;
  /** What ending it takes, kept sealed with the lease: what made it may be gone by then. */
  revocation: Json;
  /** Where the provider gave it less time than was asked for. */
  expiresAt?: number;
}

/** What is to be ended. `revocation` is null where nobody knows whether it was made. */
export interface Left {
  lease: string;
  name: string;
  scope: Json;
  revocation: Json | null;
  expiresAt: number;
}

/** One declared provider, opened. Each method ends with its signal. */
export interface Provider {
  readonly abilities: Abilities;
  /** What will be issued for what was asked; throws `lease.scope` where that is not within what the provider may issue. */
  scopeOf(asked: Json): Json;
  create(order: Order, signal: AbortSignal): Promise<Made>;
  /** The same credential for longer. */
  renew?(order: Order, signal: AbortSignal): Promise<void>;
  /** Resolves when it is verified to be gone, also where it never was. May be asked again at any time. */
  revoke(left: Left, signal: AbortSignal): Promise<void>;
  /** Resolves when the provider would issue now. */
  check(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** A lease as people see it: never the credential. */
export interface Lease {
  id: string;
  provider: string;
  state: LeaseState;
  agent: string;
  task: string;
  environment: string;
  /** What it is for: the tool server (`server:NAME`), or the door by which it was handed out (`door:NAME`). */
  purpose: string;
  /** True: handed out to a client that calls by itself. */
  ungated: boolean;
  singleUse: boolean;
  /** The name outside. */
  name: string;
  scope: Json;
  /** Why it lives shorter than was asked for. */
  clamped: string[];
  maxResidualSeconds: number | null;
  intendedAt: number;
  createdAt: number | null;
  activeAt: number | null;
  expiresAt: number;
  revokingAt: number | null;
  revokedAt: number | null;
  /** Why it ended: `expired`, `task over`, `used`, `revoked by …` */
  reason: string | null;
  attempts: number;
  nextTryAt: number | null;
  problem: string | null;
}

export interface LeaseRequest {
  provider: string;
  agent: string;
  task: string;
  environment: string;
  purpose: string;
  ungated?: boolean;
  singleUse?: boolean;
  asked: Json;
  ttlSeconds?: number;
  /** Ends of what it rests on, each with the words for people: the task, the approval. */
  until: { at: number; why: string }[];
}

/** A lease that may be used now. */
export interface Held {
  lease: Pick<Lease, 'id' | 'provider' | 'expiresAt' | 'clamped' | 'maxResidualSeconds' | 'name'>;
  credential: Record<string, Secret>;
}
