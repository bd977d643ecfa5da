import type { Deviation } from './baseline.ts';
import type { Tier } from './names.ts';
import type { RecordedResolution } from './unknown-actions.ts';

/** `request`: refused or waiting; `dispatch`: allowed, about to be sent; `outcome`: what came of it; `change`: administrative. */
export type RecordKind = 'request' | 'dispatch' | 'outcome' | 'change';

export interface Actor {
  /** SPIFFE ID of an agent, or `person:EMAIL`. */
  sub: string;
  /** `ai_agent` or `user` (draft-mcguinness-oauth-actor-profile, sub_profile). */
  profile: 'ai_agent' | 'user';
}

export type Effective = 'allow' | 'deny' | 'needs-approval';

/** What a permitted call is bound to. */
export interface Obligations {
  /** Kinds of sensitive data that are named instead of shown in its result. */
  mask: string[];
  /** The most items that its result may have; what has more waits for a person. */
  limit: number | null;
  /** Kinds that are shown although they are masked otherwise, if the tool says that its results have them. */
  reveal?: string[];
  /** Rules (kind: ApprovalRule) of which each has to be met where a person has to approve it. */
  approvers?: string[];
}

/** How far a standing grant may go: the most calls that it covers, and the longest time. */
export interface Grantable {
  calls: number;
  seconds: number;
}

/** The one decision about one action. */
export interface Decision {
  effect: Effective;
  tier: Tier;
  /** Stable code of the reason (`policy.no-permit`, `tool.held`, `agent.killed` …). */
  code: string;
  /** For the agent's developer: what stopped it and what to ask for. */
  reason: string;
  /** Ids of the policies that determined it. */
  policies: string[];
  policyVersion: string;
  /** Absent where there are none. */
  obligations?: Obligations;
  /** A person who approves it may let more calls like it run, so far; absent where policy allows none. */
  grantable?: Grantable;
  /** What it would have been, had the policies in observe mode been enforced; absent where that is the same. */
  observed?: { effect: Effective; tier: Tier; code: string; policies: string[] };
  /** What was known around the call beyond its time; absent where that was nothing. */
  situation?: RecordedSituation;
}

/** What policies could see around a call, so that it can be decided again. A member is left out where nothing was known. */
export interface RecordedSituation {
  address?: string;
  ticket?: { id: string; state: string };
  changeRequest?: { id: string; state: string };
  /** No call of the tool by the agent had counted yet. */
  firstUse?: true;
  /** In what the call differed from what its agent usually does. */
  deviations?: Deviation[];
  /** What the task had seen. */
  untrusted?: true;
  sensitive?: string[];
  /** Nothing in the call could carry a text. */
  textless?: true;
  /** Its destinations were left out, and so it reached nobody new. */
  reachesNobody?: true;
  /** Where arguments came from, by name, for those that have a role. */
  provenance?: Record<string, string>;
}

/** `anomalous`: done, and unusual for its agent (`decision.situation.deviations`, or the size of the result). */
export type ResultClass = 'success' | 'failure' | 'anomalous' | 'unknown';

/**
 * One line of the log: the text that is hashed into the Merkle tree is the RFC 8785 form of this object. Bodies are not in it,
 * only their salted digests, so that a body can be erased without touching the tree. At most 65,535 bytes.
 */
export interface ActionRecord {
  v: 1;
  kind: RecordKind;
  action_id: string;
  /** RFC 3339, UTC, milliseconds. */
  time: string;
  replica: string;
  /** What was done: `tools/call`, `resources/read`, `token.issue`, `agent.kill`, `manifest.apply` … */
  operation: string;
  /** The gateway (a workload, by its SPIFFE ID) that asked for the decision and makes the call itself; absent where Gatehouse makes it. */
  gateway?: string;
  /** The trace that the call is part of (W3C Trace Context), and its span there. As callers said it: nothing proves it. Absent where nobody traces. */
  trace_id?: string;
  span_id?: string;
  agent: string | null;
  actor_chain: Actor[];
  requested_by: string | null;
  on_behalf_of: string | null;
  task: string | null;
  intent: string | null;
  model_provider: string | null;
  model: string | null;
  environment: string | null;
  template: string | null;
  tool: string | null;
  tool_definition: string | null;
  resource: string | null;
  arguments_digest: string | null;
  decision: Decision | null;
  labels: string[];
  approval: string | null;
  credentials: { lease: string; provider: string; state: 'issued' | 'torn-down' }[];
  ticket: string | null;
  change_request: string | null;
  result: ResultClass | null;
  result_digest: string | null;
  /** What the tool says it changed, or what an administrative change did. Never a secret, never a body. */
  changes: string[];
  /** Upstream error or refusal in short, for people. */
  detail: string | null;
}

/** A record with its place in its log and its leaf hash, as the API gives it out. */
export interface SequencedRecord {
  log: string;
  sequence: number;
  leafHash: string;
  record: ActionRecord;
}

/** One action with all of its records: what timelines show. */
export interface ActionSummary {
  actionId: string;
  time: string;
  operation: string;
  agent: string | null;
  task: string | null;
  tool: string | null;
  resource: string | null;
  decision: Decision | null;
  approval: string | null;
  /** `waiting`, `refused`, `running`, `success`, `failure`, `anomalous`, `unknown`, `recorded` (a change). */
  status: 'waiting' | 'refused' | 'running' | ResultClass | 'recorded';
  detail: string | null;
  /** What a person has said of one that shows as unknown; absent where nobody has. */
  resolution?: RecordedResolution;
}
