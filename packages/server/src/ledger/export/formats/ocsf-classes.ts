import type { ActionRecord } from '@gatehouse/protocol';
import { guardsOf, isByBreaker } from '../describe.ts';

/** The OCSF classes that records become, by their numbers there. */
export const ocsfClasses = {
  api_activity: { uid: 6003, category: 6, name: 'API Activity' },
  authentication: { uid: 3002, category: 3, name: 'Authentication' },
  authorize_session: { uid: 3003, category: 3, name: 'Authorize Session' },
  entity_management: { uid: 3004, category: 3, name: 'Entity Management' },
  user_access: { uid: 3005, category: 3, name: 'User Access Management' },
  account_change: { uid: 3001, category: 3, name: 'Account Change' },
  detection_finding: { uid: 2004, category: 2, name: 'Detection Finding' },
} as const;
export type OcsfClass = keyof typeof ocsfClasses;

export interface OcsfActivity {
  class: OcsfClass;
  /** 99 where the class has no word for it: then the operation says it. */
  activity: number;
}

interface Rule extends OcsfActivity {
  /** Operations, or their beginning where it ends with `.`. */
  operations: readonly string[];
}

/**
 * Which administrative change is what. The first rule that fits counts; what no rule names is a change of some entity. Also the source of the
 * table in docs/reference/ocsf.md.
 */
export const ocsfRules: readonly Rule[] = [
  {
    class: 'authentication',
    activity: 1,
    operations: ['person.sign-in', 'consent.sign-in', 'person.signin-link.redeem', 'person.link'],
  },
  { class: 'authentication', activity: 2, operations: ['person.sign-out', 'session.revoke'] },
  {
    class: 'authentication',
    activity: 1,
    operations: ['person.sign-in.refuse', 'person.token.refuse', 'control.refuse'],
  },
  { class: 'authentication', activity: 4, operations: ['workload.prove', 'token.refuse', 'server.connect-refused'] },
  {
    class: 'authorize_session',
    activity: 1,
    operations: ['token.issue', 'upstream.token', 'id-jag.issue', 'svid.issue', 'task.start'],
  },
  { class: 'user_access', activity: 1, operations: ['delegation.create', 'consent.grant', 'agent.hand-over'] },
  { class: 'user_access', activity: 2, operations: ['delegation.revoke', 'consent.deny', 'token.revoke'] },
  { class: 'account_change', activity: 1, operations: ['person.provision', 'person.signin-link'] },
  { class: 'account_change', activity: 2, operations: ['person.reinstate'] },
  { class: 'account_change', activity: 5, operations: ['person.depart', 'person.unprovision'] },
  { class: 'account_change', activity: 6, operations: ['person.forget'] },
  { class: 'account_change', activity: 10, operations: ['passkey.enrol', 'passkey.confirm'] },
  { class: 'account_change', activity: 11, operations: ['passkey.remove'] },
  { class: 'account_change', activity: 99, operations: ['passkey.', 'person.'] },
  { class: 'entity_management', activity: 6, operations: ['agent.enrol'] },
  {
    class: 'entity_management',
    activity: 12,
    operations: ['agent.kill', 'agent.suspend', 'workload.kill', 'workload.suspend', 'task.suspend', 'sink.pause'],
  },
  { class: 'entity_management', activity: 13, operations: ['task.resume', 'sink.resume'] },
  { class: 'entity_management', activity: 10, operations: ['agent.activate', 'workload.activate', 'server.connect'] },
  {
    class: 'entity_management',
    activity: 11,
    operations: ['agent.retire', 'workload.retire', 'server.disconnect', 'task.end'],
  },
  {
    class: 'entity_management',
    activity: 1,
    operations: [
      'join-token.create',
      'scim-token.create',
      'key.request',
      'key-encryption.add',
      'log.open',
      'workspace.restore',
    ],
  },
  {
    class: 'entity_management',
    activity: 4,
    operations: ['secret.delete', 'join-token.revoke', 'scim-token.revoke', 'scim-group.delete', 'key.forget'],
  },
  { class: 'entity_management', activity: 2, operations: ['workspace.backup', 'key.export'] },
];

/** Of the methods of MCP; a tool may do anything, and what it does here is called. */
const reads: readonly string[] = ['resources/read', 'prompts/get', 'completion/complete', 'tasks/get'];

export function activityOf(record: ActionRecord): OcsfActivity {
  const { kind, operation, result } = record;
  if (isByBreaker(record)) return { class: 'detection_finding', activity: 1 };
  if (kind === 'change') {
    for (const { operations, ...rule } of ocsfRules)
      if (operations.some((each) => (each.endsWith('.') ? operation.startsWith(each) : each === operation)))
        return rule;
    return { class: 'entity_management', activity: 3 };
  }
  if (result === 'anomalous' || (kind === 'request' && guardsOf(record).length > 0))
    return { class: 'detection_finding', activity: 1 };
  return { class: 'api_activity', activity: reads.includes(operation) ? 2 : 99 };
}
