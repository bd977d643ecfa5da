import type { ActionRecord, ActionSummary, Resolution, SequencedRecord } from '@gatehouse/protocol';

/** One action from its records, which come in order of time. */
export function summarise(records: SequencedRecord[]): ActionSummary {
  const [first] = records;
  if (!first) throw new Error('an action has at least one record');
  const all = records.map(({ record }) => record);
  const main =
    all.findLast((record) => record.kind === 'dispatch') ??
    all.find((record) => record.kind === 'request') ??
    first.record;
  const outcome = all.findLast((record) => record.kind === 'outcome');
  return {
    actionId: main.action_id,
    time: first.record.time,
    operation: main.operation,
    agent: main.agent,
    task: main.task,
    tool: main.tool,
    resource: main.resource,
    decision: main.decision,
    approval: all.findLast((record) => record.approval !== null)?.approval ?? null,
    status: statusOf(all, outcome),
    ...resolutionIn(all),
    detail: outcome?.detail ?? main.decision?.reason ?? main.detail ?? main.changes[0] ?? null,
  };
}

function statusOf(records: ActionRecord[], outcome: ActionRecord | undefined): ActionSummary['status'] {
  if (outcome?.result) return outcome.result;
  if (records.some(({ kind }) => kind === 'dispatch')) return 'running';
  if (
    records.some(
      ({ kind, operation }) =>
        kind === 'change' && ['approval.deny', 'approval.expire', 'approval.cancel'].includes(operation),
    )
  )
    return 'refused';
  if (records.some(({ kind, decision }) => kind === 'request' && decision?.effect === 'deny')) return 'refused';
  return records.some(({ kind }) => kind === 'request') ? 'waiting' : 'recorded';
}

function resolutionIn(records: ActionRecord[]): Pick<ActionSummary, 'resolution'> {
  const said = records.find(({ kind, operation }) => kind === 'change' && operation === 'action.resolve');
  if (!said) return {};
  const [what, reference] = said.changes;
  return {
    resolution: {
      what: what as Resolution['what'],
      note: said.detail ?? '',
      ...(reference !== undefined && { reference: reference.replace(/^reference /, '') }),
      by: said.actor_chain[0]?.sub ?? '',
      at: said.time,
    },
  };
}
