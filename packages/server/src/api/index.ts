export type { ApiDependencies } from './dependencies.ts';
export type { Access, Route } from './route.ts';
export { API_BASE, apiRoutes, createApi } from './server.ts';
