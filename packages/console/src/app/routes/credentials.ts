import type { LeaseState } from '@gatehouse/protocol';
import { createRoute, lazyRouteComponent, redirect } from '@tanstack/react-router';
import { house, oneOf, text } from './root.ts';

export interface LeaseSearch {
  agent?: string | undefined;
  task?: string | undefined;
  provider?: string | undefined;
  /** Left out: what somebody may hold. */
  state?: 'all' | LeaseState | undefined;
}

const states = ['all', 'intended', 'created', 'active', 'revoking', 'revoked', 'stuck', 'dropped'] as const;

/** As the navigation calls it, which is what people type. */
const credentials = createRoute({
  getParentRoute: () => house,
  path: '/credentials',
  beforeLoad: () => {
    throw redirect({ to: '/leases', replace: true });
  },
});

const leases = createRoute({
  getParentRoute: () => house,
  path: '/leases',
  validateSearch: (search: Record<string, unknown>): LeaseSearch => ({
    agent: text(search.agent),
    task: text(search.task),
    provider: text(search.provider),
    state: oneOf(search.state, states),
  }),
  component: lazyRouteComponent(() => import('../../pages/credentials/leases-page.tsx'), 'LeasesPage'),
});

const lease = createRoute({
  getParentRoute: () => house,
  path: '/leases/$id',
  component: lazyRouteComponent(() => import('../../pages/credentials/lease-page.tsx'), 'LeasePage'),
});

const providers = createRoute({
  getParentRoute: () => house,
  path: '/providers',
  component: lazyRouteComponent(() => import('../../pages/credentials/providers-page.tsx'), 'ProvidersPage'),
});

/** Filled in by the address that a refused call names. */
export interface AccountSearch {
  provider?: string | undefined;
  agent?: string | undefined;
  /** Separated by spaces. */
  scopes?: string | undefined;
}

const accounts = createRoute({
  getParentRoute: () => house,
  path: '/accounts',
  validateSearch: (search: Record<string, unknown>): AccountSearch => ({
    provider: text(search.provider),
    agent: text(search.agent),
    scopes: text(search.scopes),
  }),
  component: lazyRouteComponent(() => import('../../pages/credentials/accounts-page.tsx'), 'AccountsPage'),
});

const secrets = createRoute({
  getParentRoute: () => house,
  path: '/secrets',
  component: lazyRouteComponent(() => import('../../pages/credentials/secrets-page.tsx'), 'SecretsPage'),
});

/** What tools are called with. */
export const credentialRoutes = [credentials, leases, lease, providers, accounts, secrets] as const;
