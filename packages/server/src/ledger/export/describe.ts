import type { ActionRecord } from '@gatehouse/protocol';
import type { Severity } from './types.ts';

/** `LOG/SEQUENCE`: the same wherever and however often the record is sent. */
export const idOf = (log: string, sequence: number) => `${log}/${sequence}`;

const suspends = ['agent.suspend', 'task.suspend'];

/** What the house itself stopped because of how somebody acted. */
export const isByBreaker = ({ operation, actor_chain }: ActionRecord): boolean =>
  suspends.includes(operation) && actor_chain[0]?.sub === 'gatehouse';

const guards = /^gatehouse\/(flow|baseline)#/;

/** Built-in rules of information flow and on unusual calls that decided. */
export const guardsOf = ({ decision }: ActionRecord): string[] =>
  decision?.effect === 'allow' ? [] : (decision?.policies ?? []).filter((id) => guards.test(id));

export const isRefusal = (operation: string) => /\.refuse$|-refused$/.test(operation);

/** A credential that somebody may hold although it was to be gone. */
const ALARMS: ReadonlySet<string> = new Set(['lease.stuck', 'lease.drop', 'seal.broken']);

export function severityOf(record: ActionRecord): Severity {
  const { kind, operation, decision, result } = record;
  if (isByBreaker(record) || operation.endsWith('.kill') || ALARMS.has(operation)) return 4;
  if (kind === 'change') return isRefusal(operation) ? 3 : 1;
  if (result === 'unknown' || result === 'anomalous') return 3;
  if (result === 'failure') return 2;
  if (kind !== 'request' || !decision) return 1;
  if (decision.effect === 'needs-approval') return 2;
  return decision.tier === 4 || guardsOf(record).length > 0 ? 4 : 3;
}

/** In one short line, for people. */
export function titleOf(record: ActionRecord): string {
  const { kind, operation, tool, agent, decision, result, changes, detail } = record;
  if (kind === 'change') return [operation, changes[0] ?? detail ?? ''].filter(Boolean).join(': ');
  const what = `${agent ?? 'somebody'} ${operation}${tool ? ` ${tool}` : ''}`;
  if (kind === 'outcome') return `${what}: ${result ?? 'recorded'}`;
  if (kind === 'dispatch') return `${what}: allowed`;
  return `${what}: ${decision?.effect === 'deny' ? 'refused' : 'waits for a person'}`;
}

/** Who did it, as the record names them: the first of the actor chain acts, the others handed on. */
export const actorOf = (record: ActionRecord): string =>
  record.actor_chain[0]?.sub ?? record.requested_by ?? 'gatehouse';

/** `success`, `failure` or `unknown` of what the record tells. */
export function outcomeOf({ kind, operation, decision, result }: ActionRecord): 'success' | 'failure' | 'unknown' {
  if (kind === 'change') return isRefusal(operation) ? 'failure' : 'success';
  if (kind === 'outcome')
    return result === 'failure' ? 'failure' : result === 'success' || result === 'anomalous' ? 'success' : 'unknown';
  return decision?.effect === 'deny' ? 'failure' : 'unknown';
}
