import { GatehouseError } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { ApiCaller, Route } from '../route.ts';
import { type ActionGroup, controlActions } from './actions.ts';
import {
  type ControlPolicies,
  type ControlRequest,
  type ControlResource,
  compileControlPolicies,
  ownedBy,
} from './control-policies.ts';
import { refusal } from './explain.ts';
import type { GuardedRoute } from './schema.ts';

/** The routes that policies decide about: all but those for people who are still signing in. */
export function guardedRoutes(routes: readonly Pick<Route, 'name' | 'access'>[]): GuardedRoute[] {
  return routes.flatMap(({ name, access }) =>
    access === 'public' || access === 'enrolling' ? [] : [{ name, group: access }],
  );
}

/** Compiles when the workspace's policies have changed, and only then. */
export function controlPoliciesOf(
  registry: Pick<Registry, 'snapshot'>,
  routes: readonly GuardedRoute[],
): () => ControlPolicies {
  let compiled: { from: unknown; policies: ControlPolicies } | undefined;
  return () => {
    const { controlPolicies } = registry.snapshot();
    if (compiled?.from !== controlPolicies)
      compiled = { from: controlPolicies, policies: compileControlPolicies(routes, controlPolicies) };
    return compiled.policies;
  };
}

/** Policies after which the server's own host could not apply others would lock the workspace for good. */
export function requireOperable(policies: ControlPolicies): void {
  for (const route of ['POST /apply', 'GET /export']) {
    const { allowed } = policies.decide({
      principal: { type: 'operator' },
      route,
      resource: { type: 'Workspace' },
      via: 'operator',
      restricted: false,
    });
    if (!allowed)
      throw new GatehouseError(
        'bad-request',
        'control-policy.locks-out',
        `With these policies the operator could no longer do "${route}", and nobody could put that right. Except \`principal is Operator\` from the forbid.`,
      );
  }
}

/**
 * Throws `forbidden` unless the policies let this caller use this route on this resource. Where the resource does not exist the
 * caller is asked about as if it were their own: who may do this to nothing at all learns nothing about what there is.
 */
export function authorize(
  policies: ControlPolicies,
  caller: ApiCaller,
  route: { name: string; group: ActionGroup },
  resource: ControlResource | undefined,
): void {
  const request = requestOf(caller, route, resource);
  const decision = policies.decide(request);
  if (!decision.allowed) throw refusal(policies, request, route.group, decision, caller);
}

/** Whether the policies let this caller use this route on what is their own. */
export function isAllowed(
  policies: ControlPolicies,
  caller: ApiCaller,
  route: { name: string; group: ActionGroup },
): boolean {
  return policies.decide(requestOf(caller, route, undefined)).allowed;
}

function requestOf(
  caller: ApiCaller,
  route: { name: string; group: ActionGroup },
  resource: ControlResource | undefined,
): ControlRequest {
  return {
    principal:
      caller.via === 'operator'
        ? { type: 'operator' }
        : { type: 'person', email: caller.email, roles: caller.roles, groups: caller.groups },
    route: route.name,
    resource: resource ?? ownedBy(controlActions[route.group].resource, caller.email),
    via: caller.via,
    restricted: caller.restricted,
  };
}
