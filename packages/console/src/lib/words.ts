import type { ActionSummary, ApprovalState, Effect, Lifecycle, Tier } from '@gatehouse/protocol';

/** One colour has one meaning in the whole console, and never stands alone: every use carries an icon and a word. */
export type Hue = 'green' | 'blue' | 'amber' | 'orange' | 'red' | 'violet' | 'gray';

export const tiers: Record<Tier, { label: string; means: string; hue: Hue }> = {
  1: { label: 'Autonomous', means: 'Tier 1: runs by itself', hue: 'green' },
  2: { label: 'Logged', means: 'Tier 2: runs by itself and is logged for review', hue: 'blue' },
  3: { label: 'Approval', means: 'Tier 3: needs a person’s approval', hue: 'amber' },
  4: { label: 'Prohibited', means: 'Tier 4: prohibited', hue: 'red' },
};

export type AgentStanding = Lifecycle | 'killed';

/** A killed agent is suspended, too; what people need to see first is that it was killed. */
export const standingOf = (agent: { state: Lifecycle; killedAt: number | null }): AgentStanding =>
  agent.killedAt !== null && agent.state !== 'active' ? 'killed' : agent.state;

export const standings: Record<AgentStanding, { label: string; hue: Hue }> = {
  active: { label: 'Active', hue: 'green' },
  draft: { label: 'Draft', hue: 'gray' },
  suspended: { label: 'Suspended', hue: 'amber' },
  killed: { label: 'Killed', hue: 'red' },
  retired: { label: 'Retired', hue: 'gray' },
};

export type ActionStatus = ActionSummary['status'];

export const statuses: Record<ActionStatus, { label: string; means: string; hue: Hue }> = {
  waiting: { label: 'Waiting', means: 'Waits for a person’s approval', hue: 'amber' },
  refused: { label: 'Refused', means: 'Stopped at the gate; nothing was sent', hue: 'red' },
  running: { label: 'Running', means: 'Sent to the tool; no outcome yet', hue: 'blue' },
  success: { label: 'Success', means: 'The tool did it', hue: 'green' },
  failure: { label: 'Failure', means: 'The tool said that it failed', hue: 'orange' },
  anomalous: { label: 'Anomalous', means: 'Done, and unlike what this agent usually does', hue: 'violet' },
  unknown: { label: 'Unknown', means: 'Sent, and nobody knows what came of it', hue: 'violet' },
  recorded: { label: 'Recorded', means: 'An administrative change', hue: 'gray' },
};

export const approvalStates: Record<ApprovalState, { label: string; hue: Hue }> = {
  pending: { label: 'Waiting', hue: 'amber' },
  approved: { label: 'Approved', hue: 'green' },
  consumed: { label: 'Approved, used', hue: 'green' },
  denied: { label: 'Denied', hue: 'red' },
  expired: { label: 'Expired', hue: 'gray' },
  cancelled: { label: 'Cancelled', hue: 'gray' },
};

export const taskStates: Record<'active' | 'suspended' | 'ended' | 'killed' | 'expired', { label: string; hue: Hue }> =
  {
    active: { label: 'Active', hue: 'green' },
    suspended: { label: 'Suspended', hue: 'amber' },
    ended: { label: 'Ended', hue: 'gray' },
    expired: { label: 'Run out', hue: 'gray' },
    killed: { label: 'Killed', hue: 'red' },
  };

export const risks: Record<'low' | 'medium' | 'high', { label: string; hue: Hue }> = {
  low: { label: 'Low', hue: 'green' },
  medium: { label: 'Medium', hue: 'amber' },
  high: { label: 'High', hue: 'red' },
};

/** Effects that change the world beyond recall stand out. */
export const graveEffects: readonly Effect[] = ['delete', 'pay', 'export', 'deploy', 'administer'];

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? one : many}`;

/** `act_01h…9f2c`: enough to tell ids apart in a table. */
export const shortId = (id: string): string => (id.length > 16 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id);

/** `sha256-1f2e3d4c…` */
export const shortDigest = (digest: string): string => (digest.length > 24 ? `${digest.slice(0, 19)}…` : digest);

/** `person:a@example.test` → `a@example.test`; a SPIFFE ID → the agent's name. */
export function actorName(actor: string): string {
  if (actor.startsWith('person:')) return actor.slice('person:'.length);
  return /\/(?:agent|workload)\/([^/]+)$/.exec(actor)?.[1] ?? actor;
}

/** What somebody typed as a list, parted by spaces or commas. */
export const listOf = (text: string): string[] => text.split(/[\s,]+/).filter((each) => each !== '');

/** `812 B`, `12 kB`, `3.4 MB`: of powers of a thousand. */
export function bytesWords(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  const unit = bytes < 1_000_000 ? 'kB' : 'MB';
  const size = bytes / (unit === 'kB' ? 1_000 : 1_000_000);
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`;
}
