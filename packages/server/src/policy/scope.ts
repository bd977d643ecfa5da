import type { EntityUidJson, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { readUid } from './cedar/index.ts';
import { actionEntity, type Entity, toolEntity } from './entities.ts';
import { NAMESPACE, type Subject } from './schema.ts';

/**
 * Whether a policy is about the people for whom tasks act: its scope says so by User or Group. One that names nobody is about tasks:
 * what is permitted to all agents is not thereby permitted in everybody's name.
 */
export function isAboutUsers({ principal }: PolicyJson): boolean {
  if (principal.op === 'is' && principal.entity_type === `${NAMESPACE}::User`) return true;
  return principal.op !== 'is' && ['User', 'Group'].some((type) => nameIn(principal, type) !== undefined);
}

/** The one agent that a policy is about, if it names one. */
export const namedAgent = ({ principal }: PolicyJson) => nameIn(principal, 'Agent');

/** The one user whom a policy is about, if it names one. */
export const namedUser = ({ principal }: PolicyJson) => nameIn(principal, 'User');

/** Such a policy can be about one task and not about another of the same agent and template. */
export const isAboutOneTask = ({ principal }: PolicyJson) => nameIn(principal, 'Task') !== undefined;

function nameIn(principal: PolicyJson['principal'], type: string): string | undefined {
  const named = principal.op === 'is' ? principal.in : principal;
  if (!named || !('entity' in named)) return undefined;
  const entity = readUid(named.entity);
  return entity.type === `${NAMESPACE}::${type}` ? entity.id : undefined;
}

const entities = new WeakMap<Subject, { action: Entity; tool: Entity }>();

/** Made once for each: thousands of policies are asked about the same hundreds of tools. */
function entitiesOf(subject: Subject) {
  let known = entities.get(subject);
  if (!known) {
    known = { action: actionEntity(subject), tool: toolEntity(subject) };
    entities.set(subject, known);
  }
  return known;
}

/** Whether the scope of a policy can match what is done with this subject, whoever asks. */
export const concerns = (policy: PolicyJson, subject: Subject): boolean => concerning(policy)(subject);

/** The same of one policy and many subjects: its scope is read once. */
export function concerning({ action, resource }: PolicyJson): (subject: Subject) => boolean {
  const [isAction, isTool] = [matching(action), matching(resource)];
  return (subject) => {
    const known = entitiesOf(subject);
    return isAction(known.action) && isTool(known.tool);
  };
}

function matching(scope: PolicyJson['action'] | PolicyJson['resource']): (entity: Entity) => boolean {
  const keyOf = (entity: EntityUidJson) => readUid(entity).key;
  const isWithin = (keys: string[]) => (entity: Entity) =>
    keys.some((key) => key === entity.uid.key || entity.data.ancestors.has(key));
  switch (scope.op) {
    case 'All':
      return () => true;
    case '==': {
      const key = 'entity' in scope ? keyOf(scope.entity) : undefined;
      return ({ uid }) => uid.key === key;
    }
    case 'in':
      if ('entities' in scope) return isWithin(scope.entities.map(keyOf));
      return isWithin('entity' in scope ? [keyOf(scope.entity)] : []);
    case 'is': {
      const type = scope.entity_type;
      const within = scope.in ? isWithin('entity' in scope.in ? [keyOf(scope.in.entity)] : []) : () => true;
      return (entity) => entity.uid.type === type && within(entity);
    }
  }
}
