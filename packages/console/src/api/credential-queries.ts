import type { LeaseState, ShownLease } from '@gatehouse/protocol';
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { call } from './client.ts';

export interface LeaseFilter {
  agent?: string | undefined;
  task?: string | undefined;
  provider?: string | undefined;
  /** `open`: what somebody may hold; left out: all. */
  state?: 'open' | LeaseState | undefined;
}

/** A failed attempt at ending one is no record, so that nothing tells: while there are such, they are looked at. */
const WATCH_MS = 3_000;
const isEnding = ({ state }: Pick<ShownLease, 'state'>) =>
  state === 'revoking' || state === 'stuck' || state === 'intended';

export const leasesQuery = ({ state, ...filter }: LeaseFilter) =>
  infiniteQueryOptions({
    queryKey: ['leases', 'list', { ...filter, state }],
    queryFn: ({ pageParam }) =>
      call('GET /leases', {
        query: { ...filter, ...(state === 'open' ? { open: 'true' } : { state }), cursor: pageParam, limit: 50 },
      }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ cursor }) => cursor ?? undefined,
    refetchInterval: ({ state: { data } }) =>
      data?.pages.some(({ items }) => items.some(isEnding)) ? WATCH_MS : false,
  });

/** What could not be ended, of all the house. */
export const stuckLeasesQuery = queryOptions({
  queryKey: ['leases', 'stuck'],
  queryFn: () => call('GET /leases', { query: { state: 'stuck', limit: 100 } }),
  refetchInterval: 30_000,
});

export const leaseQuery = (id: string) =>
  queryOptions({
    queryKey: ['leases', 'one', id],
    queryFn: () => call('GET /leases/:id', { params: { id } }),
    refetchInterval: ({ state: { data } }) => (data && isEnding(data) ? 1_000 : false),
  });

/** Asks each provider whether it would issue now, which takes seconds where one is away. */
export const providersQuery = queryOptions({
  queryKey: ['providers'],
  queryFn: () => call('GET /providers'),
  refetchInterval: 20_000,
});

export const accountsQuery = queryOptions({
  queryKey: ['accounts'],
  queryFn: () => call('GET /accounts', { query: {} }),
});
