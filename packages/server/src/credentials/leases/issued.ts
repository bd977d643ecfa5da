import type { Json } from '../../platform/index.ts';
import type { Snapshot } from '../../registry/index.ts';
import type { Guard } from '../../storage/index.ts';
import type { LeaseRequest } from './types.ts';

/** A credential that is out, as far as it decides whether it would be issued now. */
export interface Issued {
  provider: string;
  agent: string;
  task: string;
  environment: string;
  purpose: string;
  ungated: boolean;
  scope: Json;
  /** From when it was intended until it ends. */
  seconds: number;
  /** The action that handed it out, if it is with its agent. */
  handedBy: string | null;
}

export type Standing =
  /** What would be asked of its provider now in its place. `guards`: what this rests on. */
  | { request: LeaseRequest; guards: readonly Guard[] }
  /** Nothing would be. `isStopped`: because its agent or its task may do nothing at all. */
  | { withdrawn: string; isStopped: boolean; guards: readonly Guard[] };

/** Whether whoever holds it may have it still: what decided when it was issued decides again, and nobody is asked. A port to the enforcement. */
export type StandingOf = (snapshot: Snapshot, issued: Issued) => Promise<Standing>;
