import { createRoute, lazyRouteComponent, redirect } from '@tanstack/react-router';
import { house, text } from './root.ts';

const policy = createRoute({
  getParentRoute: () => house,
  path: '/policy',
  beforeLoad: ({ location }) => {
    if (location.pathname.replace(/\/$/, '') === '/policy') throw redirect({ to: '/policy/files', replace: true });
  },
});

const policyFiles = createRoute({
  getParentRoute: () => policy,
  path: '/files',
  component: lazyRouteComponent(() => import('../../pages/policy/files-page.tsx'), 'PolicyFilesPage'),
});

const policyNewFile = createRoute({
  getParentRoute: () => policy,
  path: '/new',
  component: lazyRouteComponent(() => import('../../pages/policy/new-file-page.tsx'), 'NewPolicyFilePage'),
});

const policyObserved = createRoute({
  getParentRoute: () => policy,
  path: '/observed',
  component: lazyRouteComponent(() => import('../../pages/policy/observed-page.tsx'), 'ObservedPage'),
});

const policyFile = createRoute({
  getParentRoute: () => policy,
  path: '/files/$name',
  component: lazyRouteComponent(() => import('../../pages/policy/file-page.tsx'), 'PolicyFilePage'),
});

const versions = createRoute({
  getParentRoute: () => policy,
  path: '/versions',
  component: lazyRouteComponent(() => import('../../pages/policy/versions-page.tsx'), 'VersionsPage'),
});

const version = createRoute({
  getParentRoute: () => policy,
  path: '/versions/$number',
  component: lazyRouteComponent(() => import('../../pages/policy/version-page.tsx'), 'VersionPage'),
});

const proposals = createRoute({
  getParentRoute: () => policy,
  path: '/proposals',
  component: lazyRouteComponent(() => import('../../pages/policy/proposals-page.tsx'), 'ProposalsPage'),
});

const proposal = createRoute({
  getParentRoute: () => policy,
  path: '/proposals/$number',
  component: lazyRouteComponent(() => import('../../pages/policy/proposal-page.tsx'), 'ProposalPage'),
});

const playground = createRoute({
  getParentRoute: () => policy,
  path: '/playground',
  validateSearch: (
    search: Record<string, unknown>,
  ): { action?: string | undefined; template?: string | undefined } => ({
    action: text(search.action),
    template: text(search.template),
  }),
  component: lazyRouteComponent(() => import('../../pages/policy/playground-page.tsx'), 'PlaygroundPage'),
});

const budgets = createRoute({
  getParentRoute: () => policy,
  path: '/budgets',
  component: lazyRouteComponent(() => import('../../pages/policy/budgets-page.tsx'), 'BudgetsPage'),
});

const budget = createRoute({
  getParentRoute: () => policy,
  path: '/budgets/$name',
  component: lazyRouteComponent(() => import('../../pages/policy/budget-page.tsx'), 'BudgetPage'),
});

/** What may be done. */
export const policyRoutes = policy.addChildren([
  policyFiles,
  policyFile,
  policyNewFile,
  policyObserved,
  playground,
  versions,
  version,
  proposals,
  proposal,
  budgets,
  budget,
]);
