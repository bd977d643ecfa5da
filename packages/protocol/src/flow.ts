import type { EndorsedValue } from './approvals.ts';

/** The result that brought something first. */
export interface FlowSource {
  tool: string;
  actionId: string;
  /** The task that read it: another one where labels were inherited. */
  task: string;
  /** Milliseconds since the epoch. */
  at: number;
}

/** A label of what was seen: `untrusted`, or `sensitive:KIND`; `changed`: the labels were changed in the database, so that all of them are there. */
export interface FlowLabel extends FlowSource {
  label: string;
  /** Through what it came: `task/ID` of its own or of one that it was handed on from, `agent/NAME`. */
  through: string;
}

/** A value that a person lets stand for the rest of a task. */
export interface FlowEndorsement extends EndorsedValue {
  id: string;
  approval: string;
  person: string;
  at: number;
  /** Calls that it has covered, of how many. */
  uses: number;
  maxUses: number;
}

/** What a task has seen, and what follows (law 9). */
export interface TaskFlow {
  task: string;
  /** Who vouches for its intent and parameters; null: nobody, so that what they name counts as unknown. */
  vouchedBy: string | null;
  untrusted: boolean;
  sensitive: string[];
  labels: FlowLabel[];
  endorsed: FlowEndorsement[];
  /** Calls that were held for a person by the flow rules, newest first; at most 50. */
  held: {
    approval: string;
    actionId: string;
    tool: string;
    state: string;
    at: number;
    rules: string[];
    reason: string;
  }[];
}
