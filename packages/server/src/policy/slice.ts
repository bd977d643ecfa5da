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

/** Whether the scope of a policy (not its conditions) can match; a task is named by id in no stored policy, so it is not looked at. */
export function inScope(policy: PolicyJson, principals: TypeAndId[], subject: Subject): boolean {
  return scopeMatches(policy.principal, principals, `${NAMESPACE}::Task`) && concerns(policy, subject);
}

/** As `inScope`, whoever asks. */
export function concerns(policy: PolicyJson, subject: Subject): boolean {
  const actions = [uid('Action', subject.ref), ...subject.effects.map((effect) => uid('Action', effect))];
  const resources = [uid('Tool', subject.ref), uid('ToolServer', subject.server)];
  return (
    scopeMatches(policy.action, actions, `${NAMESPACE}::Action`) &&
    scopeMatches(policy.resource, resources, `${NAMESPACE}::Tool`)
  );
}

type Scope = PolicyJson['principal'] | PolicyJson['action'] | PolicyJson['resource'];

function scopeMatches(scope: Scope, uids: TypeAndId[], type: string): boolean {
  const isOneOf = (entity: EntityUidJson) => {
    const wanted = '__entity' in entity ? entity.__entity : entity;
    return uids.some((each) => each.type === wanted.type && each.id === wanted.id);
  };
  switch (scope.op) {
    case 'All':
      return true;
    case '==':
      // A policy on one task by id would have to be kept for all tasks; the engine then decides.
      return 'entity' in scope && (isOneOf(scope.entity) || isTask(scope.entity));
    case 'in':
      if ('entities' in scope) return scope.entities.some(isOneOf);
      return 'entity' in scope && (isOneOf(scope.entity) || isTask(scope.entity));
    case 'is':
      if (scope.entity_type !== type) return false;
      return !scope.in || ('entity' in scope.in && (isOneOf(scope.in.entity) || isTask(scope.in.entity)));
  }
}

function isTask(entity: EntityUidJson): boolean {
  return ('__entity' in entity ? entity.__entity : entity).type === `${NAMESPACE}::Task`;
}
