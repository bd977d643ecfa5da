import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { safeNext } from '../../lib/next-page.ts';
import { house, root, text } from './root.ts';

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: ({ next }: Record<string, unknown>): { next?: string } =>
    next === undefined ? {} : { next: safeNext(next) },
  component: lazyRouteComponent(() => import('../../pages/sign-in/sign-in-page.tsx'), 'SignInPage'),
});

const mail = createRoute({
  getParentRoute: () => root,
  path: '/mail/$id',
  component: lazyRouteComponent(() => import('../../pages/approvals/mail-page.tsx'), 'MailPage'),
});

const consent = createRoute({
  getParentRoute: () => house,
  path: '/consent/$id',
  component: lazyRouteComponent(() => import('../../pages/consent/consent-page.tsx'), 'ConsentPage'),
});

const confirm = createRoute({
  getParentRoute: () => house,
  path: '/confirm/$id',
  component: lazyRouteComponent(() => import('../../pages/consent/confirm-page.tsx'), 'ConfirmPage'),
});

const device = createRoute({
  getParentRoute: () => house,
  path: '/device',
  validateSearch: (search: Record<string, unknown>): { user_code?: string | undefined } => ({
    user_code: text(search.user_code),
  }),
  component: lazyRouteComponent(() => import('../../pages/consent/device-page.tsx'), 'DevicePage'),
});

const settings = createRoute({
  getParentRoute: () => house,
  path: '/settings',
  component: lazyRouteComponent(() => import('../../pages/settings/settings-page.tsx'), 'SettingsPage'),
});

/** Where somebody comes in, outside of the shell. */
export const entryRoutes = [signIn, mail] as const;

/** What one person is asked, and has for themselves. */
export const ownRoutes = [consent, confirm, device, settings] as const;
