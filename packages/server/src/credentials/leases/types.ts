import type { LeaseState, LeaseView, ProviderAbilities } from '@gatehouse/protocol';
import { GatehouseError, type Json, type Secret } from '../../platform/index.ts';
import type { DatabaseTransaction } from '../../storage/index.ts';

/** Of a lease that is for nobody: it has neither agent nor task. */
export const TEST_PURPOSE = 'test';

/** States in which a provider may know the credential. */
export const openStates = ['intended', 'created', 'active', 'revoking', 'stuck'] as const satisfies LeaseState[];
/** States in which it may be used. */
export const liveStates = ['created', 'active'] as const satisfies LeaseState[];

export const isLive = (state: string): boolean => (liveStates as readonly string[]).includes(state);

/** Told in the transaction in which a lease becomes stuck, and in that in which it is no longer. */
export type Alarm = (transaction: DatabaseTransaction, lease: LeaseView) => Promise<void>;

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
  environment: string;
  /** Both empty: a test, for nobody. */
  agent: string;
  task: string;
  /** The person whom the task is for, vouched for; null where there is none. */
  user?: string | null;
}

/** What a provider has made. */
export interface Made {
  /** What is sent or handed out, by name: `username`, `password`, `token` … */
  credential: Record<string, Secret>;
  /** What ending it takes, kept sealed with the lease: what made it may be gone by then. */
  revocation: Json;
  /** When it ends by itself, where that is not when it was asked to. */
  expiresAt?: number;
}

/** What is to be ended. `revocation` is null where nobody knows whether it was made. */
export interface Left {
  lease: string;
  name: string;
  scope: Json;
  revocation: Json | null;
  expiresAt: number;
  /** Nobody makes it after this, in milliseconds since the epoch. */
  makingUntil: number;
}

/** What nobody can end: it may work until then, and not longer. */
export interface Remaining {
  /** Milliseconds since the epoch. */
  until: number;
  /** In words for people, who see it with the lease. */
  why: string;
}

/** The provider has refused in so many words, or what it made is ended: nothing is there, and nothing has to be ended. */
export class NotMade extends GatehouseError {}

/** One declared provider, opened. Each method ends with its signal. */
export interface Provider {
  readonly abilities: ProviderAbilities;
  /** `revoke` finds what it made by its name alone, and ends all of it. */
  readonly findsByName?: true;
  create(order: Order, signal: AbortSignal): Promise<Made>;
  /** Where it gives no end as early as it is asked for: until when what it makes then works. */
  worksUntil?(expiresAt: number): number;
  /** Where it can let one live longer: until then, or until the earlier time that it gives. Never makes one that is gone. */
  renew?(left: Left, expiresAt: number, signal: AbortSignal): Promise<{ expiresAt?: number }>;
  /**
   * Resolves when it is verified to be gone, also where it never was; with what remains where that can't be had, and is asked again when that is
   * over. May be asked again at any time.
   */
  revoke(left: Left, signal: AbortSignal): Promise<Remaining | undefined> | Promise<void>;
  /**
   * Where it signs in with a password that it can change: gives its own user the new one, and has signed in with it when it resolves. May be
   * asked again with the same.
   */
  rotate?(next: Secret, signal: AbortSignal): Promise<void>;
  /** Resolves when the provider would issue now. */
  check(signal: AbortSignal): Promise<void>;
  /** What the system behind it has to be told to trust, as it takes it: a public key. */
  trust?(): Promise<string>;
  /** Where nothing is issued for nobody: whether it would be issued for somebody, as far as that can be tried. */
  rehearse?(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface LeaseRequest {
  provider: string;
  agent: string;
  task: string;
  /** The verified person whom the task is for. */
  user?: string | null;
  environment: string;
  purpose: string;
  /** Origin that it is sent to, as the tool server is dialled now. */
  destination?: string | undefined;
  ungated?: boolean;
  singleUse?: boolean;
  asked: Json;
  /** What the templates of the task and of those it was handed on from give of the provider, each a limit: `givenOf`. */
  within: readonly Json[];
  ttlSeconds?: number;
  /** Why that is less than was asked for. */
  clamped?: readonly string[];
  /** The longest life that its agent's owner allows. */
  agentSeconds?: number | undefined;
  /** Asked again with it, the same request of a task gives the same lease, and another is an error. */
  idempotencyKey?: string;
  /** Of what is handed out: how many of the provider are made for the task in all, and for its agent in an hour. */
  quota?: { perTask: number; perHour: number };
  /** Ends of what it rests on, each with the words for people: the task, the approval. */
  until: { at: number; why: string }[];
}

/** A lease that may be used now. */
export interface Held {
  lease: Pick<LeaseView, 'id' | 'provider' | 'expiresAt' | 'name'>;
  credential: Record<string, Secret>;
}
