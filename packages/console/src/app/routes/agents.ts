import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { house, listSearch, oneOf, text } from './root.ts';

const overview = createRoute({
  getParentRoute: () => house,
  path: '/',
  component: lazyRouteComponent(() => import('../../pages/overview/overview-page.tsx'), 'OverviewPage'),
});

const breakGlass = createRoute({
  getParentRoute: () => house,
  path: '/break-glass',
  component: lazyRouteComponent(() => import('../../pages/break-glass/break-glass-page.tsx'), 'BreakGlassPage'),
});

/** Where whoever asks for it sends two people: the page shows all, this one among them. */
const oneBreakGlass = createRoute({
  getParentRoute: () => house,
  path: '/break-glass/$id',
  component: lazyRouteComponent(() => import('../../pages/break-glass/break-glass-page.tsx'), 'BreakGlassPage'),
});

const agents = createRoute({
  getParentRoute: () => house,
  path: '/agents',
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import('../../pages/agents/agents-page.tsx'), 'AgentsPage'),
});

const agent = createRoute({
  getParentRoute: () => house,
  path: '/agents/$name',
  component: lazyRouteComponent(() => import('../../pages/agents/agent-page.tsx'), 'AgentPage'),
});

const agentIdentity = createRoute({
  getParentRoute: () => house,
  path: '/agents/$name/identity',
  component: lazyRouteComponent(() => import('../../pages/agents/identity-page.tsx'), 'AgentIdentityPage'),
});

export type DelegationsSearch = { whose?: 'all' | undefined; review?: string | undefined };

const delegations = createRoute({
  getParentRoute: () => house,
  path: '/delegations',
  validateSearch: (search: Record<string, unknown>): DelegationsSearch => ({
    whose: oneOf(search.whose, ['all']),
    review: text(search.review),
  }),
  component: lazyRouteComponent(() => import('../../pages/delegations/delegations-page.tsx'), 'DelegationsPage'),
});

const grant = createRoute({
  getParentRoute: () => house,
  path: '/delegations/new',
  validateSearch: (search: Record<string, unknown>): { agent?: string | undefined; template?: string | undefined } => ({
    agent: text(search.agent),
    template: text(search.template),
  }),
  component: lazyRouteComponent(() => import('../../pages/delegations/grant-page.tsx'), 'GrantPage'),
});

const tools = createRoute({
  getParentRoute: () => house,
  path: '/tools',
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import('../../pages/tools/tools-page.tsx'), 'ToolsPage'),
});

const definition = createRoute({
  getParentRoute: () => house,
  path: '/tools/$server',
  validateSearch: (search: Record<string, unknown>): { kind?: string | undefined; name?: string | undefined } => ({
    kind: text(search.kind),
    name: text(search.name),
  }),
  component: lazyRouteComponent(() => import('../../pages/tools/definition-page.tsx'), 'DefinitionPage'),
});

export type TaskSearch = { agent?: string | undefined; state?: 'active' | 'ended' | 'killed' | undefined };

const tasks = createRoute({
  getParentRoute: () => house,
  path: '/tasks',
  validateSearch: (search: Record<string, unknown>): TaskSearch => ({
    agent: text(search.agent),
    state: oneOf(search.state, ['active', 'ended', 'killed']),
  }),
  component: lazyRouteComponent(() => import('../../pages/tasks/tasks-page.tsx'), 'TasksPage'),
});

const task = createRoute({
  getParentRoute: () => house,
  path: '/tasks/$id',
  component: lazyRouteComponent(() => import('../../pages/tasks/task-page.tsx'), 'TaskPage'),
});

/** What acts, for whom, and with what. */
export const agentRoutes = [
  overview,
  breakGlass,
  oneBreakGlass,
  agents,
  agent,
  agentIdentity,
  delegations,
  grant,
  tools,
  definition,
  tasks,
  task,
] as const;
