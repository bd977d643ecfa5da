import { z } from 'zod';
import type { ApprovalRuleManifest, ApproverSource } from './manifests/approval-rule.ts';
import { argumentRole } from './names.ts';
import type { Decision } from './records.ts';

export type ApprovalState = 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled' | 'consumed';

/** On whose authority an action is done, beyond the agent's own (law 5). All of it is verified. */
export interface Delegated {
  /** Email of the person for whom it is done. */
  user: string | null;
  /** Who handed the task on, nearest first, each with the task that it had. */
  chain: { agent: string; agentEpoch: number; task: string }[];
  /** Tool patterns: of each narrowing on the way, the task's own first. */
  narrowing: string[][];
}

/**
 * A value that a person lets stand for later calls of the same task, with what it stands for, and for which calls: `mail: send (messages)` are
 * those of tools of the server `mail` that send and whose domain is messages. Without `for` it covers none.
 */
export const endorsedValue = z.strictObject({
  role: argumentRole,
  value: z.string().min(1).max(512),
  for: z.string().min(1).max(300).optional(),
});
export type EndorsedValue = z.infer<typeof endorsedValue>;

/** Where the value of an argument came from when the call was decided (law 9). */
export interface ArgumentOrigin {
  argument: string;
  role: EndorsedValue['role'];
  provenance: 'stated' | 'trusted' | 'endorsed' | 'derived' | 'untrusted' | 'unknown';
  /** The value that decided: of several the worst. */
  value: string;
  /** The same for people: `("mallory@evil.example") came from untrusted content: result of mail/read in act_…`. */
  words: string;
  /** The result that it stood in. */
  source: { tool: string; actionId: string } | null;
  /** All its values from untrusted content or from nowhere known; a yes may endorse them. */
  held: EndorsedValue[];
}

/** Whether what a tool does can be undone. */
export interface Undo {
  possible: 'yes' | 'partly' | 'no';
  how: string | null;
  withinSeconds: number | null;
  /** An operator has said so; where nobody has, it can't be. */
  isSaid: boolean;
  /** The server marks the tool as destructive: then it can't be undone, whatever was said. */
  isDestructive: boolean;
}

export function undoWords({ possible, how, isSaid, isDestructive }: Undo): string {
  if (!isSaid) return 'no, as far as anybody has said';
  if (isDestructive) return 'no: its server marks it as destructive';
  return how === null ? possible : `${possible}: ${how}`;
}

/** Why it comes before others in the inbox: the gravest reason first. `score` only orders. */
export interface ApprovalRisk {
  score: number;
  reasons: string[];
}

/** One person's yes to one action (law 4), as shown to approvers. */
export interface Approval {
  id: string;
  actionId: string;
  state: ApprovalState;
  /**
   * SHA-256 over the RFC 8785 form of `{v: 1, agent, agentEpoch, task, operation, tool, toolDefinition, arguments, policyVersion}`,
   * or `{v: 2, …the same, delegated}` where `delegated` is not null, or `{v: 3, …the same, delegated, rules}` where there are rules, or
   * `{v: 4, …the same, delegated, rules, repeats}` where it repeats a call of which nobody knows whether it ran: those of approvals from before
   * arguments were salted. Since then it is `{v: 5, agent, agentEpoch, task, operation, tool, toolDefinition, argumentsDigest, policyVersion,
   * delegated, rules, repeats}`, each there, null where there is none; `argumentsDigest` is `sha256-` and the SHA-256 of the 16 bytes of the salt
   * followed by the RFC 8785 form of the arguments, and the same that the records of the action have.
   * The passkey signs this together with `id`: its challenge is the SHA-256 of the RFC 8785 form of `{v: 1, approval: id, digest}`, or of
   * `{v: 2, approval: id, digest, endorse}` where values are endorsed with it, in the order given; `{v: 4, …the same, grant}` where more calls like it are granted.
   */
  digest: string;
  agent: string;
  agentEpoch: number;
  owner: string;
  task: string;
  intent: string;
  template: string;
  environment: string;
  /** `tools/call`, `resources/read` … */
  operation: string;
  tool: string;
  toolDefinition: string;
  arguments: unknown;
  /** Base64url; goes with the arguments when they are erased. Absent in approvals from before there was one. */
  argumentsSalt?: string;
  /** Once the arguments are erased with their salt. */
  argumentsDigest?: string;
  delegated: Delegated | null;
  /** Each has to be met. Empty: the agent's owner or one approver says yes. */
  rules: AskedRule[];
  /** In their order. */
  votes: ApprovalVote[];
  /** Who wrote or shipped the policies that decided; a rule may exclude them. */
  policyAuthors: string[];
  /** The longest time of escalation that has passed, and was recorded. */
  escalatedSeconds: number;
  /** The call that does the same and of which nobody knows whether it ran; absent where there is none. */
  repeats?: string;
  requestedBy: string | null;
  onBehalfOf: string | null;
  decision: Decision;
  /** Of the arguments that have a role; empty where no operator gave one. */
  origins: ArgumentOrigin[];
  undo: Undo;
  risk: ApprovalRisk;
  /** Why it is signed alone and never in a list; null where it may stand in one. */
  alone: string | null;
  /** Values that the yes endorsed for the rest of the task. */
  endorsed: EndorsedValue[];
  createdAt: number;
  expiresAt: number;
  decidedAt: number | null;
  decidedBy: string | null;
  reason: string | null;
}

/** What of a rule decides: it is part of what an approval binds. */
export type AskedRule = Omit<ApprovalRuleManifest, 'kind' | 'description'>;

/** One answer. A person's last one counts; who has said no has taken their yes back. */
export interface ApprovalVote {
  /** Counts the answers to one approval. */
  number: number;
  person: string;
  answer: 'yes' | 'no';
  at: number;
  /** A yes that a channel's own identity vouches for; absent where a passkey has signed it. */
  channel?: string;
  /** As the channel knows them. */
  who?: string;
  reason: string | null;
}

/** How far an approval is, by who people are now. */
export interface ApprovalProgress {
  rules: {
    /** Empty where nobody has named a rule: then the agent's owner or one approver says yes. */
    name: string;
    isMet: boolean;
    order: 'parallel' | 'serial';
    deny: number;
    steps: {
      approve: number;
      from: ApproverSource[];
      distinct: boolean;
      /** Whether a yes for this step counts now. */
      isOpen: boolean;
      missing: number;
      /** `for`: in whose place, where it is a deputy's. `as`: the entry of `from` that it counts for. */
      given: { person: string; for: string | null; as: string }[];
    }[];
    escalate: { afterSeconds: number; at: number; to: ApproverSource[]; isDone: boolean }[];
  }[];
  /** Whose yes would bring it further now; empty once it is decided. */
  mayApprove: string[];
  nextEscalationAt: number | null;
}
