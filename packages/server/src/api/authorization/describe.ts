import { type Role, type RoleView, role } from '@gatehouse/protocol';
import { type ActionGroup, controlActions } from './actions.ts';
import { type ControlPolicies, ownedBy } from './control-policies.ts';
import type { GuardedRoute } from './schema.ts';

export type Reach = 'yes' | 'own' | 'no';

/** How far a role reaches with one route: everything, what the person owns, or nothing. */
export function reachOf(
  policies: ControlPolicies,
  route: GuardedRoute,
  who: Role | 'operator' | 'nobody',
  restricted = false,
): Reach {
  const type = controlActions[route.group].resource;
  const asks = (owner: string) =>
    policies.decide({
      principal:
        who === 'operator'
          ? { type: 'operator' }
          : { type: 'person', email: 'somebody', roles: who === 'nobody' ? [] : [who], groups: [] },
      route: route.name,
      resource: ownedBy(type, owner),
      via: who === 'operator' ? 'operator' : restricted ? 'device' : 'passkey',
      restricted,
    }).allowed;
  if (asks('somebody-else')) return 'yes';
  return asks('somebody') ? 'own' : 'no';
}

/** Roles with what they may do, in words that follow from the policies in force. */
export function describeRoles(policies: ControlPolicies, routes: readonly GuardedRoute[]): RoleView[] {
  const groups = Object.keys(controlActions) as ActionGroup[];
  return [...role.options, 'operator' as const].map((name) => {
    const may = groups.flatMap((group) => {
      const members = routes.filter((route) => route.group === group);
      const reaches = members.map((route) => reachOf(policies, route, name));
      if (members.length === 0 || reaches.every((reach) => reach === 'no')) return [];
      const onOwn = reaches.every((reach) => reach !== 'yes');
      return [{ action: group, words: controlActions[group].words, onOwn }];
    });
    return { name, may };
  });
}
