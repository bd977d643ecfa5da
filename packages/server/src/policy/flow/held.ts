import type { ArgumentRole } from '@gatehouse/protocol';
import type { Guard } from '../../storage/index.ts';
import { flowLimits } from './limits.ts';
import { READ_BY } from './marks.ts';

/** The result that brought a label first. */
export interface LabelSource {
  label: string;
  tool: string;
  actionId: string;
  task: string;
  /** Milliseconds since the epoch. */
  at: number;
}

/** What one holder (a task, an agent, a store) has seen, as it was at a version. */
export interface HeldLabels {
  holder: string;
  version: number;
  labels: ReadonlyMap<string, LabelSource>;
  /** Of a task. */
  endorsements: readonly Endorsement[];
}

/** A value that a person lets stand for the rest of a task. */
export interface Endorsement {
  id: string;
  role: ArgumentRole;
  /** As it is compared. */
  value: string;
  /** As it was signed. */
  shown: string;
  /** For which calls: see `coveredBy`. */
  covers: string;
  approval: string;
  person: string;
  at: number;
}

const TASK = 'task/';
export const holderOfTask = (task: string) => `${TASK}${task}`;
export const holderOfAgent = (agent: string) => `agent/${agent}`;
/** What an agent has seen in tasks for one person, or for nobody. */
export const holderOfAgentFor = (agent: string, user: string | null) => `${holderOfAgent(agent)}/${user ?? ''}`;
/** Null: it is something else. */
export const taskOfHolder = (holder: string) => (holder.startsWith(TASK) ? holder.slice(TASK.length) : null);
/** An agent in all its tasks. Null: it is something else. */
export const agentOfHolder = (holder: string) => /^agent\/([^/]*)$/.exec(holder)?.[1] ?? null;
export const isOfAgent = (holder: string) => holder.startsWith('agent/');
export const holderOfStore = (environment: string, server: string, store: string) =>
  `store/${environment}/${server}/${store}`;

type HolderParts =
  | { kind: 'task'; task: string }
  | { kind: 'agent'; agent: string }
  | { kind: 'agent-for'; agent: string; user: string | null }
  | { kind: 'store'; environment: string; server: string; store: string };

export function partsOfHolder(holder: string): HolderParts | null {
  const [kind, first = '', ...rest] = holder.split('/');
  const [second = '', third = ''] = rest;
  if (kind === 'task' && rest.length === 0) return { kind, task: first };
  if (kind === 'agent' && rest.length === 0) return { kind, agent: first };
  if (kind === 'agent') return { kind: 'agent-for', agent: first, user: rest.join('/') || null };
  if (kind === 'store' && rest.length === 2) return { kind, environment: first, server: second, store: third };
  return null;
}
export const guardOf = ({ holder, version }: HeldLabels): Guard => ({ key: `flow:${holder}`, version });

export const AGENT_MS = flowLimits.agentHours * 3_600_000;
/** Of what an agent has seen in all there is no end: only its texts are not looked through for ever. */
const isForEver = (holder: string, label: string) =>
  !isOfAgent(holder) || (agentOfHolder(holder) !== null && !label.startsWith(READ_BY));

/** What was seen long ago is no longer in what goes on. What was seen lately is not written again each time (`ms`). */
export const isRecent = (
  holder: string,
  { label, at }: Pick<LabelSource, 'label' | 'at'>,
  now: number,
  ms: number = AGENT_MS,
): boolean => isForEver(holder, label) || at > now - ms;
