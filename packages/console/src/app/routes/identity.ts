import { createRoute, lazyRouteComponent, redirect } from '@tanstack/react-router';
import { house, listSearch, oneOf } from './root.ts';

const identity = createRoute({
  getParentRoute: () => house,
  path: '/identity',
  beforeLoad: ({ location }) => {
    if (location.pathname.replace(/\/$/, '') === '/identity') throw redirect({ to: '/identity/people', replace: true });
  },
});

const people = createRoute({
  getParentRoute: () => identity,
  path: '/people',
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import('../../pages/identity/people-page.tsx'), 'PeoplePage'),
});

const person = createRoute({
  getParentRoute: () => identity,
  path: '/people/$email',
  component: lazyRouteComponent(() => import('../../pages/identity/person-page.tsx'), 'PersonPage'),
});

export type SessionsSearch = { via?: 'passkey' | 'oidc' | 'device' | 'link' | 'recovery' | 'mail' | undefined };

const sessions = createRoute({
  getParentRoute: () => identity,
  path: '/sessions',
  validateSearch: (search: Record<string, unknown>): SessionsSearch => ({
    via: oneOf(search.via, ['passkey', 'oidc', 'device', 'link', 'recovery', 'mail']),
  }),
  component: lazyRouteComponent(() => import('../../pages/identity/sessions-page.tsx'), 'SessionsPage'),
});

const trustRules = createRoute({
  getParentRoute: () => identity,
  path: '/trust-rules',
  component: lazyRouteComponent(() => import('../../pages/identity/trust-rules-page.tsx'), 'TrustRulesPage'),
});

const workloads = createRoute({
  getParentRoute: () => identity,
  path: '/workloads',
  component: lazyRouteComponent(() => import('../../pages/identity/workloads-page.tsx'), 'WorkloadsPage'),
});

const trustDomain = createRoute({
  getParentRoute: () => identity,
  path: '/trust-domain',
  component: lazyRouteComponent(() => import('../../pages/identity/trust-domain-page.tsx'), 'TrustDomainPage'),
});

const keys = createRoute({
  getParentRoute: () => identity,
  path: '/keys',
  component: lazyRouteComponent(() => import('../../pages/identity/keys-page.tsx'), 'KeysPage'),
});

/** Who is who. */
export const identityRoutes = identity.addChildren([
  people,
  person,
  sessions,
  trustRules,
  workloads,
  trustDomain,
  keys,
]);
