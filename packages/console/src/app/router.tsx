import type { QueryClient } from '@tanstack/react-query';
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router';
import { isSignedOut } from '../api/problem.ts';
import { type ActionFilter, sessionQuery } from '../api/queries.ts';
import { safeNext } from '../lib/next-page.ts';
import { NotFound, PageFailed } from './failures.tsx';
import { Shell } from './shell.tsx';

const root = createRootRouteWithContext<{ queries: QueryClient }>()({
  component: Outlet,
  notFoundComponent: NotFound,
  errorComponent: PageFailed,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: ({ next }: Record<string, unknown>): { next?: string } =>
    next === undefined ? {} : { next: safeNext(next) },
  component: lazyRouteComponent(() => import('../pages/sign-in/sign-in-page.tsx'), 'SignInPage'),
});

const mail = createRoute({
  getParentRoute: () => root,
  path: '/mail/$id',
  component: lazyRouteComponent(() => import('../pages/approvals/mail-page.tsx'), 'MailPage'),
});

/** Everything that needs somebody signed in; who isn't is led to sign in and back to the same page. */
const house = createRoute({
  getParentRoute: () => root,
  id: 'house',
  beforeLoad: async ({ context, location }) => {
    const toSignIn = () => redirect({ to: '/sign-in', search: { next: safeNext(location.href) } });
    const session = await context.queries.ensureQueryData(sessionQuery).catch((error: unknown) => {
      throw isSignedOut(error) ? toSignIn() : error;
    });
    if (!session.enrolled) throw toSignIn();
  },
  component: Shell,
  notFoundComponent: NotFound,
  errorComponent: PageFailed,
});

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? `${value}` : undefined;
const oneOf = <T extends string>(value: unknown, of: readonly T[]): T | undefined => of.find((each) => each === value);

export type ListSearch = { filter?: string | undefined };
const listSearch = (search: Record<string, unknown>): ListSearch => ({ filter: text(search.filter) });

const overview = createRoute({
  getParentRoute: () => house,
  path: '/',
  component: lazyRouteComponent(() => import('../pages/overview/overview-page.tsx'), 'OverviewPage'),
});

const breakGlass = createRoute({
  getParentRoute: () => house,
  path: '/break-glass',
  component: lazyRouteComponent(() => import('../pages/break-glass/break-glass-page.tsx'), 'BreakGlassPage'),
});

/** Where whoever asks for it sends two people: the page shows all, this one among them. */
const oneBreakGlass = createRoute({
  getParentRoute: () => house,
  path: '/break-glass/$id',
  component: lazyRouteComponent(() => import('../pages/break-glass/break-glass-page.tsx'), 'BreakGlassPage'),
});

const agents = createRoute({
  getParentRoute: () => house,
  path: '/agents',
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import('../pages/agents/agents-page.tsx'), 'AgentsPage'),
});

const agent = createRoute({
  getParentRoute: () => house,
  path: '/agents/$name',
  component: lazyRouteComponent(() => import('../pages/agents/agent-page.tsx'), 'AgentPage'),
});

const agentIdentity = createRoute({
  getParentRoute: () => house,
  path: '/agents/$name/identity',
  component: lazyRouteComponent(() => import('../pages/agents/identity-page.tsx'), 'AgentIdentityPage'),
});

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
  component: lazyRouteComponent(() => import('../pages/identity/people-page.tsx'), 'PeoplePage'),
});

const person = createRoute({
  getParentRoute: () => identity,
  path: '/people/$email',
  component: lazyRouteComponent(() => import('../pages/identity/person-page.tsx'), 'PersonPage'),
});

export type SessionsSearch = { via?: 'passkey' | 'oidc' | 'device' | 'link' | 'recovery' | 'mail' | undefined };
const sessions = createRoute({
  getParentRoute: () => identity,
  path: '/sessions',
  validateSearch: (search: Record<string, unknown>): SessionsSearch => ({
    via: oneOf(search.via, ['passkey', 'oidc', 'device', 'link', 'recovery', 'mail']),
  }),
  component: lazyRouteComponent(() => import('../pages/identity/sessions-page.tsx'), 'SessionsPage'),
});

export type DelegationsSearch = { whose?: 'all' | undefined; review?: string | undefined };
const delegations = createRoute({
  getParentRoute: () => house,
  path: '/delegations',
  validateSearch: (search: Record<string, unknown>): DelegationsSearch => ({
    whose: oneOf(search.whose, ['all']),
    review: text(search.review),
  }),
  component: lazyRouteComponent(() => import('../pages/delegations/delegations-page.tsx'), 'DelegationsPage'),
});

const grant = createRoute({
  getParentRoute: () => house,
  path: '/delegations/new',
  validateSearch: (search: Record<string, unknown>): { agent?: string | undefined; template?: string | undefined } => ({
    agent: text(search.agent),
    template: text(search.template),
  }),
  component: lazyRouteComponent(() => import('../pages/delegations/grant-page.tsx'), 'GrantPage'),
});

const trustRules = createRoute({
  getParentRoute: () => identity,
  path: '/trust-rules',
  component: lazyRouteComponent(() => import('../pages/identity/trust-rules-page.tsx'), 'TrustRulesPage'),
});

const workloads = createRoute({
  getParentRoute: () => identity,
  path: '/workloads',
  component: lazyRouteComponent(() => import('../pages/identity/workloads-page.tsx'), 'WorkloadsPage'),
});

const trustDomain = createRoute({
  getParentRoute: () => identity,
  path: '/trust-domain',
  component: lazyRouteComponent(() => import('../pages/identity/trust-domain-page.tsx'), 'TrustDomainPage'),
});

const keys = createRoute({
  getParentRoute: () => identity,
  path: '/keys',
  component: lazyRouteComponent(() => import('../pages/identity/keys-page.tsx'), 'KeysPage'),
});

const approvalPeople = createRoute({
  getParentRoute: () => house,
  path: '/approvals/people',
  component: lazyRouteComponent(() => import('../pages/approvals/approval-people-page.tsx'), 'ApprovalPeoplePage'),
});

const approvals = createRoute({
  getParentRoute: () => house,
  path: '/approvals',
  component: lazyRouteComponent(() => import('../pages/approvals/approvals-page.tsx'), 'ApprovalsPage'),
});

const approval = createRoute({
  getParentRoute: () => house,
  path: '/approvals/$id',
  component: lazyRouteComponent(() => import('../pages/approvals/approval-page.tsx'), 'ApprovalPage'),
});

const channels = createRoute({
  getParentRoute: () => house,
  path: '/channels',
  component: lazyRouteComponent(() => import('../pages/approvals/channels-page.tsx'), 'ChannelsPage'),
});

const channel = createRoute({
  getParentRoute: () => house,
  path: '/channels/$name',
  component: lazyRouteComponent(() => import('../pages/approvals/channel-page.tsx'), 'ChannelPage'),
});

const sinks = createRoute({
  getParentRoute: () => house,
  path: '/sinks',
  component: lazyRouteComponent(() => import('../pages/log/sinks-page.tsx'), 'SinksPage'),
});

const sink = createRoute({
  getParentRoute: () => house,
  path: '/sinks/$name',
  component: lazyRouteComponent(() => import('../pages/log/sink-page.tsx'), 'SinkPage'),
});

const consent = createRoute({
  getParentRoute: () => house,
  path: '/consent/$id',
  component: lazyRouteComponent(() => import('../pages/consent/consent-page.tsx'), 'ConsentPage'),
});

const confirm = createRoute({
  getParentRoute: () => house,
  path: '/confirm/$id',
  component: lazyRouteComponent(() => import('../pages/consent/confirm-page.tsx'), 'ConfirmPage'),
});

const device = createRoute({
  getParentRoute: () => house,
  path: '/device',
  validateSearch: (search: Record<string, unknown>): { user_code?: string | undefined } => ({
    user_code: text(search.user_code),
  }),
  component: lazyRouteComponent(() => import('../pages/consent/device-page.tsx'), 'DevicePage'),
});

const tools = createRoute({
  getParentRoute: () => house,
  path: '/tools',
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import('../pages/tools/tools-page.tsx'), 'ToolsPage'),
});

const definition = createRoute({
  getParentRoute: () => house,
  path: '/tools/$server',
  validateSearch: (search: Record<string, unknown>): { kind?: string | undefined; name?: string | undefined } => ({
    kind: text(search.kind),
    name: text(search.name),
  }),
  component: lazyRouteComponent(() => import('../pages/tools/definition-page.tsx'), 'DefinitionPage'),
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
  component: lazyRouteComponent(() => import('../pages/actions/actions-page.tsx'), 'ActionsPage'),
});

const action = createRoute({
  getParentRoute: () => house,
  path: '/actions/$id',
  component: lazyRouteComponent(() => import('../pages/actions/action-page.tsx'), 'ActionPage'),
});

export type TaskSearch = { agent?: string | undefined; state?: 'active' | 'ended' | 'killed' | undefined };
const tasks = createRoute({
  getParentRoute: () => house,
  path: '/tasks',
  validateSearch: (search: Record<string, unknown>): TaskSearch => ({
    agent: text(search.agent),
    state: oneOf(search.state, ['active', 'ended', 'killed']),
  }),
  component: lazyRouteComponent(() => import('../pages/tasks/tasks-page.tsx'), 'TasksPage'),
});

const task = createRoute({
  getParentRoute: () => house,
  path: '/tasks/$id',
  component: lazyRouteComponent(() => import('../pages/tasks/task-page.tsx'), 'TaskPage'),
});

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
  component: lazyRouteComponent(() => import('../pages/policy/files-page.tsx'), 'PolicyFilesPage'),
});

const policyNewFile = createRoute({
  getParentRoute: () => policy,
  path: '/new',
  component: lazyRouteComponent(() => import('../pages/policy/new-file-page.tsx'), 'NewPolicyFilePage'),
});
const policyObserved = createRoute({
  getParentRoute: () => policy,
  path: '/observed',
  component: lazyRouteComponent(() => import('../pages/policy/observed-page.tsx'), 'ObservedPage'),
});
const policyFile = createRoute({
  getParentRoute: () => policy,
  path: '/files/$name',
  component: lazyRouteComponent(() => import('../pages/policy/file-page.tsx'), 'PolicyFilePage'),
});

const versions = createRoute({
  getParentRoute: () => policy,
  path: '/versions',
  component: lazyRouteComponent(() => import('../pages/policy/versions-page.tsx'), 'VersionsPage'),
});

const version = createRoute({
  getParentRoute: () => policy,
  path: '/versions/$number',
  component: lazyRouteComponent(() => import('../pages/policy/version-page.tsx'), 'VersionPage'),
});

const proposals = createRoute({
  getParentRoute: () => policy,
  path: '/proposals',
  component: lazyRouteComponent(() => import('../pages/policy/proposals-page.tsx'), 'ProposalsPage'),
});

const proposal = createRoute({
  getParentRoute: () => policy,
  path: '/proposals/$number',
  component: lazyRouteComponent(() => import('../pages/policy/proposal-page.tsx'), 'ProposalPage'),
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
  component: lazyRouteComponent(() => import('../pages/policy/playground-page.tsx'), 'PlaygroundPage'),
});

const budgets = createRoute({
  getParentRoute: () => policy,
  path: '/budgets',
  component: lazyRouteComponent(() => import('../pages/policy/budgets-page.tsx'), 'BudgetsPage'),
});

const budget = createRoute({
  getParentRoute: () => policy,
  path: '/budgets/$name',
  component: lazyRouteComponent(() => import('../pages/policy/budget-page.tsx'), 'BudgetPage'),
});

const log = createRoute({
  getParentRoute: () => house,
  path: '/log',
  component: lazyRouteComponent(() => import('../pages/log/log-page.tsx'), 'LogPage'),
});

const verify = createRoute({
  getParentRoute: () => house,
  path: '/log/verify',
  component: lazyRouteComponent(() => import('../pages/log/verify-page.tsx'), 'VerifyPage'),
});

const evidence = createRoute({
  getParentRoute: () => house,
  path: '/evidence',
  component: lazyRouteComponent(() => import('../pages/evidence/evidence-page.tsx'), 'EvidencePage'),
});

const settings = createRoute({
  getParentRoute: () => house,
  path: '/settings',
  component: lazyRouteComponent(() => import('../pages/settings/settings-page.tsx'), 'SettingsPage'),
});

const nowhere = createRoute({ getParentRoute: () => house, path: '$', component: NotFound });

export const createConsoleRouter = (queries: QueryClient) =>
  createRouter({
    routeTree: root.addChildren([
      signIn,
      mail,
      house.addChildren([
        overview,
        breakGlass,
        oneBreakGlass,
        agents,
        agent,
        agentIdentity,
        delegations,
        grant,
        identity.addChildren([people, person, sessions, trustRules, workloads, trustDomain, keys]),
        approvalPeople,
        approvals,
        approval,
        channels,
        channel,
        sinks,
        sink,
        consent,
        confirm,
        device,
        tools,
        definition,
        actions,
        action,
        tasks,
        task,
        policy.addChildren([
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
        ]),
        log,
        verify,
        evidence,
        settings,
        nowhere,
      ]),
    ]),
    context: { queries },
    defaultPreload: 'intent',
    scrollRestoration: true,
  });

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createConsoleRouter>;
  }
}
