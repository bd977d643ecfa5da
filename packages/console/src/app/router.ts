import type { QueryClient } from '@tanstack/react-query';
import { createRouter } from '@tanstack/react-router';
import { Pending } from './failures.tsx';
import { agentRoutes } from './routes/agents.ts';
import { approvalRoutes } from './routes/approvals.ts';
import { credentialRoutes } from './routes/credentials.ts';
import { entryRoutes, ownRoutes } from './routes/entry.ts';
import { identityRoutes } from './routes/identity.ts';
import { policyRoutes } from './routes/policy.ts';
import { recordRoutes } from './routes/record.ts';
import { house, nowhere, root } from './routes/root.ts';

export const createConsoleRouter = (queries: QueryClient) =>
  createRouter({
    routeTree: root.addChildren([
      ...entryRoutes,
      house.addChildren([
        ...agentRoutes,
        ...approvalRoutes,
        ...credentialRoutes,
        ...ownRoutes,
        ...recordRoutes,
        identityRoutes,
        policyRoutes,
        nowhere,
      ]),
    ]),
    context: { queries },
    // The page before stays until the next one is there; only a slow line is told that something comes.
    defaultPendingComponent: Pending,
    defaultPreload: 'intent',
    scrollRestoration: true,
  });

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createConsoleRouter>;
  }
}
