import type { ActionRecord, Actor, Decision } from '@gatehouse/protocol';
import { leafHash, MAX_ENTRY_BYTES } from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import { GatehouseError, isCanonical, recordable } from '../platform/index.ts';
import type { RecordRow } from '../storage/index.ts';

/** What is hashed and not kept; holds the largest record. */
const scratch = Buffer.allocUnsafeSlow(3 * MAX_ENTRY_BYTES);

/** Columns are for finding; PostgreSQL holds no U+0000 in one. The entry has the text as it was. */
const forColumn = (text: string | null) => (text?.includes('\0') ? text.replaceAll('\0', '\ufffd') : text);

/** Every member is named, also those that may be absent: one that is added to the type has to be added here. */
type Named<T> = { [Name in keyof Required<T>]: T[Name] | undefined };

/** The members in the order of the canonical form, each in its own, so that nothing has to be sorted and no order looked at. */
function inOrder(record: ActionRecord): Named<ActionRecord> {
  return {
    action_id: record.action_id,
    actor_chain: record.actor_chain.map(({ profile, sub }) => ({ profile, sub }) satisfies Named<Actor>),
    agent: record.agent,
    approval: record.approval,
    arguments_digest: record.arguments_digest,
    change_request: record.change_request,
    changes: record.changes,
    credentials: record.credentials,
    decision: record.decision && (decisionInOrder(record.decision) as Decision),
    detail: record.detail,
    environment: record.environment,
    gateway: record.gateway,
    intent: record.intent,
    kind: record.kind,
    labels: record.labels,
    model: record.model,
    model_provider: record.model_provider,
    on_behalf_of: record.on_behalf_of,
    operation: record.operation,
    replica: record.replica,
    requested_by: record.requested_by,
    resource: record.resource,
    result: record.result,
    result_digest: record.result_digest,
    span_id: record.span_id,
    task: record.task,
    template: record.template,
    ticket: record.ticket,
    time: record.time,
    tool: record.tool,
    tool_definition: record.tool_definition,
    trace_id: record.trace_id,
    v: record.v,
  };
}

const decisionInOrder = (decision: Decision): Named<Decision> => ({
  code: decision.code,
  effect: decision.effect,
  grantable: decision.grantable,
  obligations: decision.obligations,
  observed: decision.observed,
  policies: decision.policies,
  policyVersion: decision.policyVersion,
  reason: decision.reason,
  situation: decision.situation,
  tier: decision.tier,
});

/** The canonical text of a record. What is in it as it was given is looked at; the rest is in its order. */
function entryOf(record: ActionRecord): string {
  const ordered = inOrder(record);
  const { grantable, obligations, observed, situation } = record.decision ?? {};
  const isInOrder = [record.credentials, grantable, obligations, observed, situation].every(
    (given) => given === undefined || isCanonical(given),
  );
  const text = isInOrder ? JSON.stringify(ordered) : '';
  // Half a surrogate pair is written as an escape, which no canonical text has.
  return isInOrder && !text.includes('\\ud') ? text : recordable(JSON.parse(JSON.stringify(ordered)));
}

export function toRow(record: ActionRecord, at: number): RecordRow {
  const entry = entryOf(record);
  const bytes = entry.length > MAX_ENTRY_BYTES ? undefined : scratch.subarray(0, scratch.write(entry));
  if (bytes === undefined || bytes.byteLength > MAX_ENTRY_BYTES) {
    throw new GatehouseError(
      'too-large',
      'ledger.record-too-large',
      'The record of this action would be larger than 64 KiB, so the action is refused.',
    );
  }
  return {
    kind: record.kind,
    actionId: record.action_id,
    at,
    operation: forColumn(record.operation) ?? '',
    agent: record.agent,
    task: record.task,
    person: forColumn(record.on_behalf_of ?? record.requested_by),
    tool: forColumn(record.tool),
    resource: forColumn(record.resource),
    effect: record.kind === 'change' ? null : (record.decision?.effect ?? null),
    result: record.result,
    approval: record.approval,
    ticket: forColumn(record.ticket),
    entry,
    leafHash: leafHash(bytes, nodeSha256),
  };
}
