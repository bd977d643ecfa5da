import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { house } from './root.ts';

const approvalPeople = createRoute({
  getParentRoute: () => house,
  path: '/approvals/people',
  component: lazyRouteComponent(() => import('../../pages/approvals/approval-people-page.tsx'), 'ApprovalPeoplePage'),
});

const approvals = createRoute({
  getParentRoute: () => house,
  path: '/approvals',
  component: lazyRouteComponent(() => import('../../pages/approvals/approvals-page.tsx'), 'ApprovalsPage'),
});

const approval = createRoute({
  getParentRoute: () => house,
  path: '/approvals/$id',
  component: lazyRouteComponent(() => import('../../pages/approvals/approval-page.tsx'), 'ApprovalPage'),
});

const channels = createRoute({
  getParentRoute: () => house,
  path: '/channels',
  component: lazyRouteComponent(() => import('../../pages/approvals/channels-page.tsx'), 'ChannelsPage'),
});

const channel = createRoute({
  getParentRoute: () => house,
  path: '/channels/$name',
  component: lazyRouteComponent(() => import('../../pages/approvals/channel-page.tsx'), 'ChannelPage'),
});

/** What waits for people, and how they are told. */
export const approvalRoutes = [approvalPeople, approvals, approval, channels, channel] as const;
