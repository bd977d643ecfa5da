import { type GatehouseError, newId } from '../platform/index.ts';
import type { AdministrativeChange } from '../storage/index.ts';
import type { LedgerEntry } from './types.ts';

/** What was not sent is on record as asked for and refused. */
export function refusalOf(entry: LedgerEntry, { code, message }: GatehouseError): LedgerEntry {
  const { decision } = entry.record;
  const refused = decision && { ...decision, effect: 'deny' as const, code, reason: message };
  return { ...entry, record: { ...entry.record, kind: 'request', decision: refused, detail: message } };
}

export function changeRecord(change: AdministrativeChange, now: number): LedgerEntry['record'] {
  const person = change.by.startsWith('person:') ? change.by : null;
  return {
    kind: 'change',
    action_id: change.action ?? newId('act', now),
    operation: change.operation,
    agent: change.agent ?? null,
    actor_chain: [{ sub: change.by, profile: person ? 'user' : 'ai_agent' }],
    requested_by: person,
    on_behalf_of: null,
    task: change.task ?? null,
    intent: null,
    model_provider: null,
    model: null,
    environment: change.environment ?? null,
    template: null,
    tool: change.tool ?? null,
    tool_definition: null,
    resource: null,
    decision: null,
    labels: [],
    approval: change.approval ?? null,
    credentials: [],
    ticket: null,
    change_request: null,
    result: null,
    changes: change.changes,
    detail: change.detail ?? null,
  };
}
