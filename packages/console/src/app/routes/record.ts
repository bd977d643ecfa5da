import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import type { ActionFilter } from '../../api/queries.ts';
import { house, oneOf, text } from './root.ts';

const sinks = createRoute({
  getParentRoute: () => house,
  path: '/sinks',
  component: lazyRouteComponent(() => import('../../pages/log/sinks-page.tsx'), 'SinksPage'),
});

const sink = createRoute({
  getParentRoute: () => house,
  path: '/sinks/$name',
  component: lazyRouteComponent(() => import('../../pages/log/sink-page.tsx'), 'SinkPage'),
});

const actions = createRoute({
  getParentRoute: () => house,
  path: '/actions',
  validateSearch: (search: Record<string, unknown>): ActionFilter => ({
    agent: text(search.agent),
    task: text(search.task),
    tool: text(search.tool),
    resource: text(search.resource),
    operation: text(search.operation),
    person: text(search.person),
    ticket: text(search.ticket),
    effect: oneOf(search.effect, ['allow', 'deny', 'needs-approval']),
    result: oneOf(search.result, ['success', 'failure', 'anomalous', 'unknown']),
    server: text(search.server),
    code: text(search.code),
    approval: text(search.approval),
    environment: text(search.environment),
    template: text(search.template),
    kind: oneOf(search.kind, ['request', 'dispatch', 'outcome', 'change']),
    credential: text(search.credential),
    label: text(search.label),
    text: text(search.text),
    reads: oneOf(search.reads, ['shown', 'left-out']),
    from: text(search.from),
    to: text(search.to),
  }),
  component: lazyRouteComponent(() => import('../../pages/actions/actions-page.tsx'), 'ActionsPage'),
});

const action = createRoute({
  getParentRoute: () => house,
  path: '/actions/$id',
  component: lazyRouteComponent(() => import('../../pages/actions/action-page.tsx'), 'ActionPage'),
});

const log = createRoute({
  getParentRoute: () => house,
  path: '/log',
  component: lazyRouteComponent(() => import('../../pages/log/log-page.tsx'), 'LogPage'),
});

const verify = createRoute({
  getParentRoute: () => house,
  path: '/log/verify',
  component: lazyRouteComponent(() => import('../../pages/log/verify-page.tsx'), 'VerifyPage'),
});

const evidence = createRoute({
  getParentRoute: () => house,
  path: '/evidence',
  component: lazyRouteComponent(() => import('../../pages/evidence/evidence-page.tsx'), 'EvidencePage'),
});

/** What was done, and that nobody has changed it. */
export const recordRoutes = [sinks, sink, actions, action, log, verify, evidence] as const;
