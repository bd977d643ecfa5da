import type { ApprovalProof } from './approval-proof.ts';
import type { Approval } from './approvals.ts';
import type { FlowLabel } from './flow.ts';
import type { ProviderKind } from './leases.ts';
import type { CallCredential } from './policies.ts';

/** How often something of this kind was decided, and when last. */
export interface DecidedSoFar {
  approved: number;
  denied: number;
  /** Milliseconds since the epoch; null: never. */
  lastAt: number | null;
}

/** What to know before a yes, beyond what it binds. Nothing of it is signed. */
export interface ApprovalContext {
  /** The tool's description as it was approved. */
  description: string | null;
  /** The one of this agent and tool that was approved last; of another agent of its blueprint where there is none. */
  similar: { approval: string; agent: string; at: number; by: string; arguments: unknown } | null;
  /** What the call is made with at the tool server, which the agent does not see; null where that takes no credential. */
  credential: (CallCredential & { kind: ProviderKind | null }) | null;
  /** Who vouches for intent and parameters of the task; null: nobody. */
  vouchedBy: string | null;
  /** What its task names, as its agent said or whoever vouches for it. */
  ticket: NamedTicket | null;
  changeRequest: NamedTicket | null;
  /** What the task has read, with the results that brought it. */
  labels: FlowLabel[];
  /** Of calls of this tool by this agent. */
  history: { you: DecidedSoFar; others: DecidedSoFar };
  /** Budgets that cover the tool. `fullest`: in percent of the tightest limit. */
  budgets: { name: string; limit: string; fullest: number }[];
}

export interface NamedTicket {
  id: string;
  /** As its system said when the call was decided; null where none is asked, or it is for other agents. */
  state: string | null;
}

/** How those of one person, agent or tool were decided. */
export interface DecidedBy {
  /** Email, agent or tool; empty for all together. */
  of: string;
  decided: number;
  approved: number;
  denied: number;
  /** From the question to the answer; null where there are none. */
  medianMs: number | null;
  /** Approved within five seconds. */
  hasty: number;
  /** What should be looked at, in words. */
  remark: string | null;
}

export interface ApprovalStatistics {
  /** Milliseconds since the epoch. */
  from: number;
  to: number;
  whole: DecidedBy;
  /** The most first. */
  people: DecidedBy[];
  agents: DecidedBy[];
  tools: DecidedBy[];
  /** There were more than are counted: choose a shorter time. */
  isCut: boolean;
}

/** What approvers are shown and asked, beyond single approvals. */
export interface ApprovalReviewApi {
  'GET /approvals/:id/proof': ApprovalProof;
  'GET /approvals/:id/context': ApprovalContext;
  'GET /approval-inbox': { items: Approval[]; cursor: string | null };
  'POST /approval-lists/options': { options: unknown };
  'POST /approval-lists/approve': { items: Approval[] };
  'GET /approval-statistics': ApprovalStatistics;
  'GET /approval-statistics/mine': ApprovalStatistics;
}
