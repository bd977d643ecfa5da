import type { ActionRecord } from '@gatehouse/protocol';
import { leafHash, MAX_ENTRY_BYTES } from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import { GatehouseError, recordable } from '../platform/index.ts';
import type { RecordRow } from '../storage/index.ts';

/** Columns are for finding; PostgreSQL holds no U+0000 in one. The entry has the text as it was. */
const forColumn = (text: string | null) => text?.replaceAll('\0', '\ufffd') ?? null;

let recordNames: string[] = [];

/** In the order of the canonical form, so that it needs no sorting: records have the same members. */
function inOrder(record: ActionRecord): ActionRecord {
  const given = record as unknown as Record<string, unknown>;
  const names = Object.keys(given);
  if (names.length !== recordNames.length || !recordNames.every((name) => name in given)) recordNames = names.sort();
  const ordered: Record<string, unknown> = {};
  for (const name of recordNames) ordered[name] = given[name];
  if (record.decision) ordered.decision = sorted(record.decision);
  ordered.actor_chain = record.actor_chain.map(sorted);
  return ordered as unknown as ActionRecord;
}

const sorted = (members: object) => Object.fromEntries(Object.entries(members).sort(([a], [b]) => (a < b ? -1 : 1)));

export function toRow(record: ActionRecord, at: number): RecordRow {
  const entry = recordable(inOrder(record));
  const bytes = Buffer.from(entry);
  if (bytes.byteLength > MAX_ENTRY_BYTES) {
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
