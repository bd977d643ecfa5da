import type { EntityUidJson, PolicyJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { Task } from '@gatehouse/protocol';
import type { Agent } from '../registry/index.ts';
import { NAMESPACE, type Subject } from './schema.ts';

export function uid(type: string, id: string): TypeAndId {
  return { type: `${NAMESPACE}::${type}`, id };
}

/** All that a task is in. */
export function principalUids(agent: Agent, task: Task): TypeAndId[] {
  return [
    uid('Agent', agent.name),
    uid('Template', task.template),
    uid('Blueprint', agent.manifest.blueprint),
    uid('Environment', agent.manifest.environment),
  ];
}

/** Whether the scope of a policy (not its conditions) can match what such a task does with this subject. */
export function inScope(policy: PolicyJson, principals: TypeAndId[], subject: Subject): boolean {
  return scopeMatches(policy.principal, uid('Task', ''), principals) && concerns(policy, subject);
}

/**
 * Whether a policy is about the people for whom tasks act: its scope says so by User or Group. One that names nobody is about tasks:
 * what is permitted to all agents is not thereby permitted in everybody's name.
 */
export function isAboutUsers({ principal }: PolicyJson): boolean {
  if (principal.op === 'All') return false;
  if (principal.op === 'is') return principal.entity_type === `${NAMESPACE}::User`;
  return 'entity' in principal && /^Gatehouse::(User|Group)$/.test(typeOf(principal.entity));
}

/** The one user whom a policy is about, if it names one. */
export function namedUser({ principal }: PolicyJson): string | undefined {
  if (principal.op === 'All' || !('entity' in principal) || typeOf(principal.entity) !== `${NAMESPACE}::User`)
    return undefined;
  return '__entity' in principal.entity ? principal.entity.__entity.id : principal.entity.id;
}

const typeOf = (entity: EntityUidJson) => ('__entity' in entity ? entity.__entity : entity).type;

/** As `inScope`, for a policy about users. */
export function inUserScope(policy: PolicyJson, user: { email: string; groups: readonly string[] }, subject: Subject) {
  const self = uid('User', user.email);
  const groups = user.groups.map((group) => uid('Group', group));
  return scopeMatches(policy.principal, self, groups) && concerns(policy, subject);
}

/** As `inScope`, whoever asks. */
export function concerns(policy: PolicyJson, subject: Subject): boolean {
  const groups = subject.effects.map((effect) => uid('Action', effect));
  return (
    scopeMatches(policy.action, uid('Action', subject.ref), groups) &&
    scopeMatches(policy.resource, uid('Tool', subject.ref), [uid('ToolServer', subject.server)])
  );
}

type Scope = PolicyJson['principal'] | PolicyJson['action'] | PolicyJson['resource'];

/** `self` and what it is in. The task has no id here: a policy on one task is kept for all tasks, and the engine then decides. */
function scopeMatches(scope: Scope, self: TypeAndId, above: TypeAndId[]): boolean {
  const is = (entity: EntityUidJson, uids: TypeAndId[]) => {
    const wanted = '__entity' in entity ? entity.__entity : entity;
    return isTask(entity) || uids.some(({ type, id }) => type === wanted.type && id === wanted.id);
  };
  const within = (entity: EntityUidJson) => is(entity, [self, ...above]);
  switch (scope.op) {
    case 'All':
      return true;
    case '==':
      return 'entity' in scope && is(scope.entity, [self]);
    case 'in':
      if ('entities' in scope) return scope.entities.some(within);
      return 'entity' in scope && within(scope.entity);
    case 'is':
      return scope.entity_type === self.type && (!scope.in || ('entity' in scope.in && within(scope.in.entity)));
  }
}

function isTask(entity: EntityUidJson): boolean {
  return typeOf(entity) === `${NAMESPACE}::Task`;
}

/** Such a policy is in every slice, and the engine says whether it is about this task. */
export function isAboutOneTask({ principal }: PolicyJson): boolean {
  const named = principal.op === 'is' ? principal.in : principal.op === 'All' ? undefined : principal;
  return named !== undefined && 'entity' in named && isTask(named.entity);
}
