import type { SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import { type ActionGroup, controlActions, type ResourceType } from './actions.ts';

/** A route as policies know it: its name is the action, its group the action's parent. */
export interface GuardedRoute {
  name: string;
  group: ActionGroup;
}

const email = { type: 'String' } as const;
const entity = (name: string) => ({ type: 'Entity', name }) as const;

/** The Cedar schema that policies of the control API are validated against: made from the route table, so that it can't fall behind. */
export function controlSchema(routes: readonly GuardedRoute[]): SchemaJson<string> {
  return {
    '': {
      entityTypes: {
        Role: {},
        Group: {},
        Environment: {},
        Workspace: {},
        Operator: {},
        Person: { memberOfTypes: ['Role', 'Group'], shape: { type: 'Record', attributes: { email } } },
        Agent: {
          shape: {
            type: 'Record',
            attributes: {
              owner: entity('Person'),
              environment: entity('Environment'),
              production: { type: 'Boolean' },
              risk: { type: 'String' },
            },
          },
        },
        Approval: {
          shape: {
            type: 'Record',
            attributes: {
              owner: entity('Person'),
              environment: entity('Environment'),
              tool: { type: 'String' },
              /** Whom the rules of its policies name. */
              named: { type: 'Set', element: entity('Person') },
            },
          },
        },
      },
      actions: {
        ...Object.fromEntries(
          Object.entries(controlActions).map(([group, { resource }]) => [group, appliesTo(resource, [])]),
        ),
        ...Object.fromEntries(
          routes.map(({ name, group }) => [name, appliesTo(controlActions[group].resource, [{ id: group }])]),
        ),
      },
    },
  } as SchemaJson<string>;
}

function appliesTo(resource: ResourceType, memberOf: { id: string }[]) {
  return {
    memberOf,
    appliesTo: {
      principalTypes: ['Person', 'Operator'],
      resourceTypes: [resource],
      context: {
        type: 'Record',
        attributes: {
          /** `passkey`, `oidc`, `device`, `operator`. */
          via: { type: 'String' },
          restricted: { type: 'Boolean' },
        },
      },
    },
  };
}
