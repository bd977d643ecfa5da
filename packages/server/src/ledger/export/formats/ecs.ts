import type { ActionRecord } from '@gatehouse/protocol';
import { actorOf, guardsOf, idOf, isByBreaker, outcomeOf, severityOf, titleOf } from '../describe.ts';
import { jsonLine } from '../line.ts';
import type { Format } from '../types.ts';

/** The Elastic Common Schema that the field names are of. What it has no name for is under `gatehouse`. */
const ECS_VERSION = '8.17.0';

export const ecs: Format = ({ log, sequence, leafHash, record, arguments: given }, { version }) => {
  const people = [record.requested_by, record.on_behalf_of].filter((each) => each !== null);
  const json = {
    '@timestamp': record.time,
    ecs: { version: ECS_VERSION },
    message: titleOf(record),
    event: {
      id: idOf(log, sequence),
      kind: isByBreaker(record) || guardsOf(record).length > 0 ? 'alert' : 'event',
      category: [categoryOf(record)],
      type: [typeOf(record)],
      action: record.operation,
      outcome: outcomeOf(record),
      severity: severityOf(record),
      provider: 'gatehouse',
      module: 'gatehouse',
      dataset: 'gatehouse.record',
      sequence,
      hash: leafHash,
      ...((record.decision?.reason ?? record.detail) && { reason: record.decision?.reason ?? record.detail }),
    },
    service: { name: 'gatehouse', type: 'gatehouse', version, node: { name: record.replica } },
    user: { name: actorOf(record) },
    ...(people.length > 0 && { related: { user: [...new Set(people)] } }),
    gatehouse: {
      log,
      kind: record.kind,
      action_id: record.action_id,
      agent: record.agent,
      actor_chain: record.actor_chain.map(({ sub }) => sub),
      task: record.task,
      environment: record.environment,
      template: record.template,
      tool: record.tool,
      resource: record.resource,
      intent: record.intent,
      labels: record.labels,
      approval: record.approval,
      ticket: record.ticket,
      change_request: record.change_request,
      result: record.result,
      changes: record.changes,
      arguments_digest: record.arguments_digest,
      decision: record.decision && {
        effect: record.decision.effect,
        tier: record.decision.tier,
        code: record.decision.code,
        policies: record.decision.policies,
        policy_version: record.decision.policyVersion,
      },
      // As text: arguments of different tools have members of one name and different types, which an index refuses.
      ...(given !== undefined && { arguments: JSON.stringify(given) }),
    },
  };
  return { text: jsonLine(json), json: json as never };
};

function categoryOf({ kind, operation }: ActionRecord): string {
  if (kind !== 'change') return 'api';
  if (/^(person\.sign|session\.|token\.|workload\.prove|control\.)/.test(operation)) return 'authentication';
  return /^(agent|person|workload|passkey|delegation|consent|scim|join-token)\b/.test(operation)
    ? 'iam'
    : 'configuration';
}

function typeOf({ kind, operation, decision }: ActionRecord): string {
  if (kind === 'request') return decision?.effect === 'deny' ? 'denied' : 'info';
  if (kind === 'dispatch') return 'allowed';
  if (kind === 'outcome') return 'end';
  if (/\.(create|enrol|add-key|issue|set|start)$/.test(operation)) return 'creation';
  return /\.(delete|remove|remove-key|revoke|forget|retire)$/.test(operation) ? 'deletion' : 'change';
}
