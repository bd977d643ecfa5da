import type { QueryClient } from '@tanstack/react-query';
import { createRootRouteWithContext, createRoute, lazyRouteComponent, Outlet, redirect } from '@tanstack/react-router';
import { isSignedOut } from '../../api/problem.ts';
import { sessionQuery } from '../../api/queries.ts';
import { safeNext } from '../../lib/next-page.ts';
import { NotFound, PageFailed } from '../failures.tsx';

export const root = createRootRouteWithContext<{ queries: QueryClient }>()({
  component: Outlet,
  notFoundComponent: NotFound,
  errorComponent: PageFailed,
});

/** Everything that needs somebody signed in; who isn't is led to sign in and back to the same page. */
export const house = createRoute({
  getParentRoute: () => root,
  id: 'house',
  beforeLoad: async ({ context, location }) => {
    const toSignIn = () => redirect({ to: '/sign-in', search: { next: safeNext(location.href) } });
    const session = await context.queries.ensureQueryData(sessionQuery).catch((error: unknown) => {
      throw isSignedOut(error) ? toSignIn() : error;
    });
    if (!session.enrolled) throw toSignIn();
  },
  component: lazyRouteComponent(() => import('../shell.tsx'), 'Shell'),
  notFoundComponent: NotFound,
  errorComponent: PageFailed,
});

export const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? `${value}` : undefined;

export const oneOf = <T extends string>(value: unknown, of: readonly T[]): T | undefined =>
  of.find((each) => each === value);

type ListSearch = { filter?: string | undefined };

export const listSearch = (search: Record<string, unknown>): ListSearch => ({ filter: text(search.filter) });

export const nowhere = createRoute({ getParentRoute: () => house, path: '$', component: NotFound });
