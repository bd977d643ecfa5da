export { type ActionGroup, type AtTerminal, controlActions, type ResourceType } from './actions.ts';
export { atTerminal } from './at-terminal.ts';
export { authorize, controlPoliciesOf, guardedRoutes, isAllowed, requireOperable } from './authorize.ts';
export { builtInPolicies } from './built-in.ts';
export { isOpenByMail } from './by-mail.ts';
export { type ControlPolicies, type ControlResource, compileControlPolicies, ownedBy } from './control-policies.ts';
export { describeRoles, type Reach, reachOf } from './describe.ts';
export { rolesThatMay } from './explain.ts';
export type { GuardedRoute } from './schema.ts';
