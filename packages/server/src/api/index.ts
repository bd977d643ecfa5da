export {
  atTerminal,
  builtInPolicies,
  compileControlPolicies,
  type GuardedRoute,
  guardedRoutes,
  reachOf,
} from './authorization/index.ts';
export type { ApiDependencies } from './dependencies.ts';
export { createFrontDoor, type Door } from './front-door.ts';
export type { Access, Route } from './route.ts';
export { apiRoutes } from './route-table.ts';
export { API_BASE, createApi } from './server.ts';
export { VERSION } from './version.ts';
