import { Select, TextInput } from '@mantine/core';
import { IconKey } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { leasesQuery, providersQuery } from '../../api/credential-queries.ts';
import { agentsQuery } from '../../api/queries.ts';
import type { LeaseSearch } from '../../app/routes/credentials.ts';
import { leaseStateWords } from '../../lib/lease-words.ts';
import { Empty, growing, Section, Toolbar } from '../../ui/page.tsx';
import { CredentialsPage } from './credentials-page.tsx';
import { EndShownButton } from './end-shown.tsx';
import { LeaseTable } from './lease-table.tsx';
import { StuckLeases } from './stuck-leases.tsx';

const states = [
  { value: 'open', label: 'Not ended' },
  ...Object.entries(leaseStateWords).map(([value, { label }]) => ({ value, label })),
  { value: 'all', label: 'All' },
];

export function LeasesPage() {
  const search = useSearch({ from: '/house/leases' });
  const { state = 'open', ...of } = search;
  const navigate = useNavigate();
  const leases = useInfiniteQuery(leasesQuery({ ...of, state: state === 'all' ? undefined : state }));
  const agents = useQuery(agentsQuery).data;
  const providers = useQuery(providersQuery).data?.items;
  const rows = leases.data?.pages.flatMap(({ items }) => items);
  const set = (change: LeaseSearch) =>
    void navigate({ to: '/leases', search: { ...search, ...change }, replace: true });
  const isFiltered = Object.values(of).some((each) => each !== undefined);

  return (
    <CredentialsPage
      title="Leases"
      about="Each credential that Gatehouse has had made: for whom, what it may do, until when, and what is left of it once it is ended. Nobody sees the credential itself."
    >
      <StuckLeases />
      <Section
        title="Credentials"
        count={rows && `${rows.length}${leases.hasNextPage ? ' and more' : ''}`}
        actions={isFiltered && <EndShownButton leases={rows ?? []} hasMore={leases.hasNextPage} />}
      >
        <Toolbar>
          <Select
            className={growing}
            placeholder="Any agent"
            aria-label="Agent"
            data={agents?.map(({ name }) => name) ?? []}
            value={of.agent ?? null}
            onChange={(agent) => set({ agent: agent ?? undefined })}
            searchable
            clearable
            data-filter
          />
          <Select
            placeholder="Any provider"
            aria-label="Provider"
            data={[...new Set([...(providers ?? []).map(({ name }) => name), ...(of.provider ? [of.provider] : [])])]}
            value={of.provider ?? null}
            onChange={(provider) => set({ provider: provider ?? undefined })}
            searchable
            clearable
          />
          <TextInput
            placeholder="Any task"
            aria-label="Task"
            value={of.task ?? ''}
            onChange={(event) => set({ task: event.currentTarget.value.trim() || undefined })}
            spellCheck={false}
          />
          <Select
            aria-label="State"
            data={states}
            value={state}
            onChange={(chosen) => set({ state: chosen === 'open' ? undefined : (chosen as LeaseSearch['state']) })}
            allowDeselect={false}
          />
        </Toolbar>
        <LeaseTable
          label="Leases"
          rows={rows}
          error={leases.error}
          retry={() => void leases.refetch()}
          more={
            leases.hasNextPage
              ? { load: () => void leases.fetchNextPage(), loading: leases.isFetchingNextPage }
              : undefined
          }
          empty={
            isFiltered || state !== 'open' ? (
              <Empty icon={IconKey} title="No credential fits this filter" about="Take part of the filter out." />
            ) : (
              <Empty
                icon={IconKey}
                title="No credential is out"
                about="One is made when a task first calls a tool that needs it, and ends with the task. This page shows it at once."
              />
            )
          }
        />
      </Section>
    </CredentialsPage>
  );
}
