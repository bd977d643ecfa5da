import type { ActionRecord, Decision, RecordKind, ResultClass } from '@gatehouse/protocol';
import type { LedgerEntry } from '../ledger/index.ts';
import type { Json } from '../platform/index.ts';
import { directRef } from '../policy/index.ts';
import type { RegisteredTool } from '../registry/index.ts';
import { resourceOf } from './subject.ts';
import { type Action, HAND_OUT, UNGATED } from './types.ts';

const MAX_DETAIL = 1_000;
/** A reason names values of templates and tasks; a record has 64 KiB in all. */
const MAX_REASON = 4_000;

/** Of each record of a call that was unlike what its agent usually does. */
export const ANOMALOUS = 'anomalous';

/** The record of one step of one action: everything that the issue of "who did what, for whom, with whose approval" needs. */
export function recordOf(
  kind: RecordKind,
  action: Action,
  actionId: string,
  tool: RegisteredTool | null,
  more: {
    decision: Decision;
    approval?: string | null;
    credentials?: ActionRecord['credentials'];
    resultClass?: ResultClass;
    detail?: string;
    changes?: string[];
    labels?: string[];
    arguments?: Json;
    argumentsSalt?: string | undefined;
    result?: Json;
  },
): LedgerEntry {
  const { caller } = action;
  const { task } = caller;
  const { situation, ...decision } = more.decision;
  const labels = [...(more.labels ?? []), ...(action.operation === HAND_OUT ? [UNGATED] : [])];
  const isUnusual = situation?.deviations !== undefined || labels.includes(ANOMALOUS);
  return {
    record: {
      kind,
      action_id: actionId,
      operation: action.operation,
      ...(action.gateway && { gateway: action.gateway.spiffeId }),
      ...(action.trace && { trace_id: action.trace.traceId, span_id: action.trace.spanId }),
      agent: caller.agent,
      actor_chain: caller.actorChain,
      requested_by: task.requestedBy,
      on_behalf_of: task.onBehalfOf,
      task: task.id,
      intent: task.intent,
      model_provider: task.modelProvider,
      model: task.model,
      environment: task.environment,
      template: task.template,
      tool: tool?.ref ?? askedRef(action).slice(0, 300).toWellFormed(),
      tool_definition: tool?.digest ?? null,
      resource: tool ? resourceOf(tool, action) : null,
      decision: {
        ...decision,
        reason: decision.reason.slice(0, MAX_REASON).toWellFormed(),
        ...(situation && kind !== 'outcome' && { situation }),
      },
      labels: isUnusual && !labels.includes(ANOMALOUS) ? [...labels, ANOMALOUS] : labels,
      approval: more.approval ?? null,
      credentials: more.credentials ?? [],
      ticket: task.ticket,
      change_request: task.changeRequest,
      // What failed or may have failed says so; its labels say the other.
      result: isUnusual && more.resultClass === 'success' ? 'anomalous' : (more.resultClass ?? null),
      changes: more.changes ?? [],
      detail: more.detail?.slice(0, MAX_DETAIL).toWellFormed() ?? null,
    },
    ...(more.arguments !== undefined && { arguments: more.arguments, argumentsSalt: more.argumentsSalt }),
    ...(more.result !== undefined && { result: more.result }),
  };
}

/** Of what was refused before it was found. */
const askedRef = ({ operation, server, name }: Action): string =>
  operation === HAND_OUT ? directRef(server) : `${server}/${name}`;
