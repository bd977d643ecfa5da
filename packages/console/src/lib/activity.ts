import type { ActionRecord, ActionSummary, SequencedRecord } from '@gatehouse/protocol';

/** An action as a live page holds it: its summary, and which kind of record the summary speaks by. */
export interface LiveAction extends ActionSummary {
  speaks: 'dispatch' | 'request' | 'other';
}

const ENDED_BY_APPROVAL = ['approval.deny', 'approval.expire', 'approval.cancel'];

/** A summary from the API, ready to take further records. */
export function fromSummary(summary: ActionSummary): LiveAction {
  const speaks =
    summary.status === 'recorded'
      ? 'other'
      : summary.status === 'waiting' || summary.status === 'refused'
        ? 'request'
        : 'dispatch';
  return { ...summary, speaks };
}

/** The summary after one more record: what the ledger would say of all its records so far. */
export function addRecord(known: LiveAction | undefined, { record }: SequencedRecord): LiveAction {
  if (!known) {
    const speaks = record.kind === 'dispatch' || record.kind === 'request' ? record.kind : 'other';
    return { ...spokenBy(record), time: record.time, approval: record.approval, status: firstStatus(record), speaks };
  }
  const approval = record.approval ?? known.approval;
  if (record.kind === 'outcome') {
    const { result, detail } = record;
    return { ...known, approval, status: result ?? known.status, detail: detail ?? known.detail };
  }
  const ended = isResult(known.status);
  if (record.kind === 'dispatch') {
    const spoken = spokenBy(record);
    const status = ended ? known.status : 'running';
    return { ...known, ...spoken, detail: ended ? known.detail : spoken.detail, approval, status, speaks: 'dispatch' };
  }
  if (record.kind === 'request') {
    const spoken = known.speaks === 'other' ? { ...spokenBy(record), speaks: 'request' as const } : {};
    const open = known.status === 'recorded' || known.status === 'waiting';
    return { ...known, ...spoken, approval, status: open ? firstStatus(record) : known.status };
  }
  const refuses =
    ENDED_BY_APPROVAL.includes(record.operation) && (known.status === 'waiting' || known.status === 'recorded');
  return { ...known, approval, status: refuses ? 'refused' : known.status };
}

function spokenBy(record: ActionRecord) {
  const { action_id, operation, agent, task, tool, resource, decision } = record;
  const detail =
    record.kind === 'outcome'
      ? (record.detail ?? decision?.reason ?? record.changes[0] ?? null)
      : (decision?.reason ?? record.detail ?? record.changes[0] ?? null);
  return { actionId: action_id, operation, agent, task, tool, resource, decision, detail };
}

function firstStatus({ kind, result, decision, operation }: ActionRecord): ActionSummary['status'] {
  if (kind === 'outcome') return result ?? 'recorded';
  if (kind === 'dispatch') return 'running';
  if (kind === 'request') return decision?.effect === 'deny' ? 'refused' : 'waiting';
  return ENDED_BY_APPROVAL.includes(operation) ? 'refused' : 'recorded';
}

const isResult = (status: ActionSummary['status']) => ['success', 'failure', 'anomalous', 'unknown'].includes(status);

/** Newest first, bounded: a page that is left open over night must not grow. */
export function addRecords(actions: LiveAction[], records: SequencedRecord[], limit: number): LiveAction[] {
  const known = new Map(actions.map((action) => [action.actionId, action]));
  for (const record of records) {
    const id = record.record.action_id;
    known.set(id, addRecord(known.get(id), record));
  }
  return [...known.values()].sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0)).slice(0, limit);
}
