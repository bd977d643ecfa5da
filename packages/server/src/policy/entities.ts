import type { Task } from '@gatehouse/protocol';
import type { Agent } from '../registry/index.ts';
import { CedarSet, type EntityData, EntityUid, type Value } from './cedar/index.ts';
import { flowArguments } from './flow/index.ts';
import { groupsOfAction, NAMESPACE, type Subject } from './schema.ts';
import type { PolicyUser } from './types.ts';

/** An entity of a request: its name, and what policies can see of it (its shape is in `buildSchema`). */
export interface Entity {
  uid: EntityUid;
  data: EntityData;
}

export function uid(type: string, id: string): EntityUid {
  return new EntityUid(`${NAMESPACE}::${type}`, id);
}

function entity(self: EntityUid, ancestors: readonly EntityUid[], attrs: Record<string, Value>): Entity {
  return {
    uid: self,
    data: {
      attrs: new Map(Object.entries(attrs)),
      tags: new Map(),
      ancestors: new Set(ancestors.map(({ key }) => key)),
    },
  };
}

export function taskEntity(agent: Agent, task: Task): Entity {
  const { blueprint, environment, owner, risk } = agent.manifest;
  const groups = {
    agent: uid('Agent', agent.name),
    template: uid('Template', task.template),
    environment: uid('Environment', environment),
  };
  return entity(uid('Task', task.id), [...Object.values(groups), uid('Blueprint', blueprint)], {
    ...groups,
    owner,
    risk,
    parameters: new Map(Object.entries(task.parameters)),
  });
}

export function userEntity(email: string, user: PolicyUser | null): Entity {
  return entity(
    uid('User', email),
    (user?.groups ?? []).map((group) => uid('Group', group)),
    { email, roles: new CedarSet([...(user?.roles ?? [])]) },
  );
}

export function toolEntity(subject: Subject): Entity {
  return entity(uid('Tool', subject.ref), [uid('ToolServer', subject.server)], {
    tier: subject.tier,
    effects: new CedarSet(subject.effects),
    domain: subject.domain ?? '',
    ...Object.fromEntries(
      Object.entries(flowArguments(subject.roles)).map(([name, names]) => [name, new CedarSet([...names])]),
    ),
  });
}

export function actionEntity(subject: Pick<Subject, 'ref' | 'effects' | 'roles'>): Entity {
  return entity(
    uid('Action', subject.ref),
    groupsOfAction(subject).map((group) => uid('Action', group)),
    {},
  );
}
