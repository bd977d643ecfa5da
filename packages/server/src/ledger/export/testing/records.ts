import type { ActionRecord, RecordKind } from '@gatehouse/protocol';
import type { Outgoing } from '../types.ts';

/** A record of a call, or of what `more` makes of it. */
export function recordOf(more: Partial<ActionRecord> = {}): ActionRecord {
  return {
    v: 1,
    kind: 'dispatch' as RecordKind,
    action_id: 'act_1',
    time: '2026-11-27T20:00:00.123Z',
    replica: 'replica-a',
    operation: 'tools/call',
    agent: 'agent-support-refunds-prod',
    actor_chain: [{ sub: 'spiffe://example.test/env/prod/agent/agent-support-refunds-prod', profile: 'ai_agent' }],
    requested_by: 'person:ada@example.test',
    on_behalf_of: 'person:ben@example.test',
    task: 'tsk_1',
    intent: 'refund order 1042',
    model_provider: 'maker',
    model: 'model-1',
    environment: 'prod',
    template: 'refunds',
    tool: 'shop/refund',
    tool_definition: 'sha256-1',
    resource: 'order-1042',
    arguments_digest: 'sha256-2',
    decision: {
      effect: 'allow',
      tier: 2,
      code: 'policy.permit',
      reason: 'The template allows it.',
      policies: ['template/refunds#0'],
      policyVersion: 'v1',
    },
    labels: ['untrusted'],
    approval: null,
    credentials: [],
    ticket: 'CHG-1',
    change_request: null,
    result: null,
    result_digest: null,
    changes: [],
    detail: null,
    ...more,
  };
}

export const outgoing = (more: Partial<ActionRecord> = {}, sequence = 7): Outgoing => ({
  log: 'gate.example.test/log/replica-a',
  sequence,
  leafHash: 'ab'.repeat(32),
  record: recordOf(more),
});
