import type { Approval, ApprovalState, RecordFilter, SessionSummaryView, Task } from '@gatehouse/protocol';
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { call, type Query } from './client.ts';

/** Everything that pages read, by key. What the live stream touches is named in live.ts by the first word of the key. */
export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: () => call('GET /session'),
  staleTime: 60_000,
  retry: false,
});

export const statusQuery = queryOptions({
  queryKey: ['status'],
  queryFn: () => call('GET /status'),
  refetchInterval: 15_000,
});

/** All agents, page by page: a workspace has hundreds, and lists are searched in the browser. */
export const agentsQuery = queryOptions({
  queryKey: ['agents'],
  queryFn: () => everyPage((query) => call('GET /agents', { query })),
});

export const agentQuery = (name: string) =>
  queryOptions({ queryKey: ['agents', name], queryFn: () => call('GET /agents/:name', { params: { name } }) });

export const baselineQuery = (agent: string) =>
  queryOptions({
    queryKey: ['baselines', agent],
    queryFn: () => call('GET /agents/:name/baseline', { params: { name: agent } }),
  });

export const tasksQuery = (filter: { agent?: string; state?: Task['state'] }) =>
  infiniteQueryOptions({
    queryKey: ['tasks', filter],
    queryFn: ({ pageParam }) => call('GET /tasks', { query: { ...filter, cursor: pageParam, limit: 50 } }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ cursor }) => cursor ?? undefined,
  });

export const taskQuery = (id: string) =>
  queryOptions({ queryKey: ['tasks', 'one', id], queryFn: () => call('GET /tasks/:id', { params: { id } }) });

export const holdsQuery = queryOptions({ queryKey: ['holds'], queryFn: () => call('GET /holds') });
export const retentionQuery = queryOptions({ queryKey: ['retention'], queryFn: () => call('GET /retention') });
export const erasuresQuery = queryOptions({ queryKey: ['erasures'], queryFn: () => call('GET /erasures') });

export const taskTraceQuery = (id: string) =>
  queryOptions({ queryKey: ['tasks', 'trace', id], queryFn: () => call('GET /tasks/:id/trace', { params: { id } }) });

export const taskFlowQuery = (id: string) =>
  queryOptions({ queryKey: ['tasks', 'flow', id], queryFn: () => call('GET /tasks/:id/flow', { params: { id } }) });

export const pendingApprovalsQuery = queryOptions({
  queryKey: ['approvals', 'pending'],
  queryFn: () => everyPage((query) => call('GET /approvals', { query: { ...query, state: 'pending' } })),
});

/** Counted by who people are now, so that it is asked again with every answer. */
export const approvalProgressQuery = ({ id, state, votes, escalatedSeconds }: Approval) =>
  queryOptions({
    queryKey: ['approvals', 'progress', id, state, votes.length, escalatedSeconds],
    queryFn: () => call('GET /approvals/:id/progress', { params: { id } }),
  });

export const deputiesQuery = (person: string) =>
  queryOptions({
    queryKey: ['deputies', person],
    queryFn: () => call('GET /deputies', { query: { person } }),
  });

export const approvalsQuery = (filter: { state?: ApprovalState; agent?: string; task?: string }) =>
  infiniteQueryOptions({
    queryKey: ['approvals', 'list', filter],
    queryFn: ({ pageParam }) => call('GET /approvals', { query: { ...filter, cursor: pageParam, limit: 50 } }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ cursor }) => cursor ?? undefined,
  });

/** The gravest first. */
export const inboxQuery = (filter: { mine?: 'true' | undefined }) =>
  infiniteQueryOptions({
    queryKey: ['approvals', 'inbox', filter],
    queryFn: ({ pageParam }) => call('GET /approval-inbox', { query: { ...filter, cursor: pageParam, limit: 100 } }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ cursor }) => cursor ?? undefined,
    placeholderData: keepPreviousData,
  });

export const approvalContextQuery = (id: string) =>
  queryOptions({
    queryKey: ['approvals', 'context', id],
    queryFn: () => call('GET /approvals/:id/context', { params: { id } }),
  });

export const approvalStatisticsQuery = (whose: 'all' | 'mine', days: number) =>
  queryOptions({
    queryKey: ['approval-statistics', whose, days],
    queryFn: () =>
      call(whose === 'all' ? 'GET /approval-statistics' : 'GET /approval-statistics/mine', {
        query: { from: String(Date.now() - days * 24 * 3_600_000) },
      }),
  });

export const approvalQuery = (id: string) =>
  queryOptions({ queryKey: ['approvals', 'one', id], queryFn: () => call('GET /approvals/:id', { params: { id } }) });

export const breakGlassQuery = queryOptions({
  queryKey: ['break-glass'],
  queryFn: () => call('GET /break-glass'),
  refetchInterval: 10_000,
});

export const taskGrantsQuery = (task: string) =>
  queryOptions({
    queryKey: ['grants', task],
    queryFn: () => call('GET /grants', { query: { task, limit: 50 } }),
    refetchInterval: 10_000,
  });

export const consentQuery = (id: string) =>
  queryOptions({
    queryKey: ['consents', 'one', id],
    queryFn: () => call('GET /consents/:id', { params: { id } }),
    retry: false,
    // What is shown is what is answered: it changes only when the server says that it has.
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  });

export const confirmationQuery = (id: string) =>
  queryOptions({
    queryKey: ['confirmations', id],
    queryFn: () => call('GET /confirmations/:id', { params: { id } }),
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  });

export const consentsQuery = queryOptions({
  queryKey: ['consents', 'waiting'],
  queryFn: () => call('GET /consents'),
  refetchInterval: 5_000,
});

/** What the record is searched by; times are in UTC. */
export type ActionFilter = { [Field in keyof Omit<RecordFilter, 'zone'>]?: RecordFilter[Field] | undefined };

export const actionsQuery = (filter: ActionFilter, limit = 50) =>
  infiniteQueryOptions({
    queryKey: ['actions', filter, limit],
    queryFn: ({ pageParam }) => call('GET /actions', { query: { ...(filter as Query), cursor: pageParam, limit } }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ cursor }) => cursor ?? undefined,
  });

export const actionQuery = (id: string) =>
  queryOptions({ queryKey: ['actions', 'one', id], queryFn: () => call('GET /actions/:id', { params: { id } }) });

export const unknownActionsQuery = infiniteQueryOptions({
  queryKey: ['actions', 'unknown'],
  queryFn: ({ pageParam }) => call('GET /unknown-actions', { query: { cursor: pageParam, limit: 20 } }),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: ({ cursor }) => cursor ?? undefined,
});

export const channelsQuery = queryOptions({
  queryKey: ['channels'],
  queryFn: () => call('GET /channels'),
  refetchInterval: 10_000,
});

export const channelQuery = (name: string) =>
  queryOptions({
    queryKey: ['channels', name],
    queryFn: () => call('GET /channels/:name', { params: { name } }),
    refetchInterval: 10_000,
  });

export const deliveriesQuery = (name: string) =>
  infiniteQueryOptions({
    queryKey: ['channels', name, 'deliveries'],
    queryFn: ({ pageParam }) =>
      call('GET /channels/:name/deliveries', { params: { name }, query: { cursor: pageParam, limit: 50 } }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ cursor }) => cursor ?? undefined,
  });

export const sinksQuery = queryOptions({
  queryKey: ['sinks'],
  queryFn: () => call('GET /sinks'),
  refetchInterval: 5_000,
});

export const sinkQuery = (name: string) =>
  queryOptions({
    queryKey: ['sinks', name],
    queryFn: () => call('GET /sinks/:name', { params: { name } }),
    refetchInterval: 5_000,
  });

export const serversQuery = queryOptions({ queryKey: ['servers'], queryFn: () => call('GET /servers') });
export const toolsQuery = queryOptions({ queryKey: ['tools'], queryFn: () => call('GET /tools') });
export const definitionsQuery = queryOptions({ queryKey: ['definitions'], queryFn: () => call('GET /definitions') });
export const logsQuery = queryOptions({ queryKey: ['logs'], queryFn: () => call('GET /logs') });
export const passkeysQuery = queryOptions({ queryKey: ['passkeys'], queryFn: () => call('GET /passkeys') });
export const pushQuery = queryOptions({ queryKey: ['push'], queryFn: () => call('GET /push') });
export const pushSubscriptionsQuery = queryOptions({
  queryKey: ['push-subscriptions'],
  queryFn: () => call('GET /push/subscriptions'),
});
export const sessionsQuery = queryOptions({ queryKey: ['sessions'], queryFn: () => call('GET /sessions') });
/** A company's directory is searched where it is. What was found last stays until the next answer. */
export const peopleQuery = (search: string) =>
  infiniteQueryOptions({
    queryKey: ['people', 'list', search],
    queryFn: ({ pageParam }) => call('GET /people', { query: { search, cursor: pageParam, limit: 50 } }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ cursor }) => cursor ?? undefined,
    placeholderData: keepPreviousData,
  });

export const personQuery = (email: string) =>
  queryOptions({ queryKey: ['people', email], queryFn: () => call('GET /people/:email', { params: { email } }) });

export const personSessionsQuery = (email: string) =>
  queryOptions({
    queryKey: ['sessions', 'of', email],
    queryFn: () => call('GET /people/:email/sessions', { params: { email } }),
  });

export const everyonesSessionsQuery = (via: SessionSummaryView['via'] | undefined) =>
  infiniteQueryOptions({
    queryKey: ['sessions', 'everyone', via],
    queryFn: ({ pageParam }) => call('GET /sessions/everyone', { query: { via, cursor: pageParam, limit: 50 } }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ cursor }) => cursor ?? undefined,
  });

export const rolesQuery = queryOptions({ queryKey: ['roles'], queryFn: () => call('GET /roles') });
export const scimTokensQuery = queryOptions({ queryKey: ['scim-tokens'], queryFn: () => call('GET /scim/tokens') });
export const providersQuery = queryOptions({
  queryKey: ['sign-in-providers'],
  queryFn: () => call('GET /signin/providers'),
});

export const agentIdentityQuery = (name: string) =>
  queryOptions({
    queryKey: ['agents', name, 'identity'],
    queryFn: () => call('GET /agents/:name/identity', { params: { name } }),
  });

export const delegationsQuery = (filter: { user?: string; agent?: string }) =>
  infiniteQueryOptions({
    queryKey: ['delegations', filter],
    queryFn: ({ pageParam }) => call('GET /delegations', { query: { ...filter, cursor: pageParam, limit: 50 } }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ cursor }) => cursor ?? undefined,
  });

export const trustRulesQuery = queryOptions({ queryKey: ['trust-rules'], queryFn: () => call('GET /trust-rules') });
export const workloadsQuery = queryOptions({ queryKey: ['workloads'], queryFn: () => call('GET /workloads') });
export const joinTokensQuery = (name: string) =>
  queryOptions({
    queryKey: ['join-tokens', name],
    queryFn: () => call('GET /agents/:name/join-tokens', { params: { name } }),
  });
export const templatesQuery = queryOptions({ queryKey: ['templates'], queryFn: () => call('GET /templates') });
export const keysQuery = queryOptions({
  queryKey: ['keys'],
  queryFn: () => call('GET /keys'),
  refetchInterval: ({ state }) => (state.data?.rewrap.state === 'running' ? 1_000 : false),
});
export const trustDomainQuery = queryOptions({ queryKey: ['trust-domain'], queryFn: () => call('GET /trust-domain') });
export const secretsQuery = queryOptions({ queryKey: ['secrets'], queryFn: () => call('GET /secrets') });

export const heldResultsQuery = infiniteQueryOptions({
  queryKey: ['approvals', 'results'],
  queryFn: ({ pageParam }) => call('GET /results', { query: { cursor: pageParam, limit: 50 } }),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: ({ cursor }) => cursor ?? undefined,
});

export const budgetsQuery = infiniteQueryOptions({
  queryKey: ['budgets', 'list'],
  queryFn: ({ pageParam }) => call('GET /budgets', { query: { cursor: pageParam, limit: 50 } }),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: ({ cursor }) => cursor ?? undefined,
});

export const budgetQuery = (name: string) =>
  infiniteQueryOptions({
    queryKey: ['budgets', 'one', name],
    queryFn: ({ pageParam }) =>
      call('GET /budgets/:name', { params: { name }, query: { cursor: pageParam, limit: 50 } }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ cursor }) => cursor ?? undefined,
  });

export const policiesQuery = infiniteQueryOptions({
  queryKey: ['policies', 'list'],
  queryFn: ({ pageParam }) => call('GET /policies', { query: { cursor: pageParam, limit: 50 } }),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: ({ cursor }) => cursor ?? undefined,
});

export const policyQuery = (name: string) =>
  queryOptions({
    queryKey: ['policies', 'one', name],
    queryFn: () => call('GET /policies/:name', { params: { name } }),
  });

export const observedQuery = (days: number) =>
  queryOptions({
    queryKey: ['observed', days],
    queryFn: () =>
      call('GET /policy/observed', { query: { since: String(Date.now() - days * 24 * 3_600_000), limit: 5 } }),
  });

export const versionsQuery = infiniteQueryOptions({
  queryKey: ['versions', 'list'],
  queryFn: ({ pageParam }) => call('GET /policy/versions', { query: { cursor: pageParam, limit: 50 } }),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: ({ cursor }) => cursor ?? undefined,
});

export const versionQuery = (number: string) =>
  queryOptions({
    queryKey: ['versions', 'one', number],
    queryFn: () => call('GET /policy/versions/:number', { params: { number } }),
  });

export const proposalsQuery = infiniteQueryOptions({
  queryKey: ['proposals', 'list'],
  queryFn: ({ pageParam }) => call('GET /policy/proposals', { query: { cursor: pageParam, limit: 50 } }),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: ({ cursor }) => cursor ?? undefined,
});

export const proposalQuery = (number: string) =>
  queryOptions({
    queryKey: ['proposals', 'one', number],
    queryFn: () => call('GET /policy/proposals/:number', { params: { number } }),
    // It is rehearsed by itself once it is made; nothing tells when that is done.
    refetchInterval: ({ state: { data } }) => (data?.state === 'open' && data.replay === null ? 2_000 : false),
  });

const MOST_PAGES = 25;

async function everyPage<T>(get: (query: Query) => Promise<{ items: T[]; cursor: string | null }>): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    const answer = await get({ limit: 200, ...(cursor !== undefined && { cursor }) });
    items.push(...answer.items);
    if (answer.cursor === null) break;
    cursor = answer.cursor;
  }
  return items;
}
