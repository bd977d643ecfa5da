import type { ApprovalState, ApprovalVote } from './approvals.ts';
import type { ActionSummary, Decision } from './records.ts';
import type { Task } from './tasks.ts';

export type TraceStepKind = 'start' | 'credential' | 'call' | 'approval' | 'change' | 'end';

/** Where a record stands, so that each step can be looked up and proven. */
export interface TracePlace {
  log: string;
  sequence: number;
  kind: string;
  time: string;
}

/** One action of a task, from the question to what came of it. */
export interface TraceStep {
  kind: TraceStepKind;
  actionId: string;
  operation: string;
  /** Of its first record, and how long until its last. */
  time: string;
  durationMs: number;
  /** Who did it: the agent, or whoever made the change. */
  by: string | null;
  status: ActionSummary['status'];
  tool: string | null;
  resource: string | null;
  decision: Decision | null;
  approval: {
    id: string;
    state: ApprovalState;
    decidedBy: string | null;
    /** From the question to the decision. */
    waitedMs: number | null;
    /** Each person's answer, in the order in which they came. */
    votes: Pick<ApprovalVote, 'person' | 'answer' | 'at' | 'channel' | 'reason'>[];
  } | null;
  credentials: { lease: string; provider: string; state: string }[];
  labels: string[];
  changes: string[];
  detail: string | null;
  places: TracePlace[];
}

/** A task from who asked for it to its end, with what it handed on. */
export interface TracedTask {
  task: Task;
  endedAt: number | null;
  steps: TraceStep[];
  /** What was recorded before the first step that is shown is left out. */
  more: boolean;
  children: TracedTask[];
}

export interface TaskTrace {
  /** The tasks that it was handed on from, first the one that was asked for. */
  above: { id: string; agent: string; intent: string; startedAt: number; user: string | null }[];
  root: TracedTask;
  /** Tasks and steps that are shown. */
  tasks: number;
  steps: number;
  /** Some tasks that were handed on are left out. */
  more: boolean;
}

export interface TraceApi {
  'GET /tasks/:id/trace': TaskTrace;
}
