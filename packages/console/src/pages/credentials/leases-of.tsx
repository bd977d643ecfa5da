import { IconKey } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { leasesQuery } from '../../api/credential-queries.ts';
import { Empty, Section } from '../../ui/page.tsx';
import { LeaseTable } from './lease-table.tsx';

const SHOWN = 10;

/** What its tools can be called with now. */
export function LeasesOfAgent({ agent }: { agent: string }) {
  const leases = useInfiniteQuery(leasesQuery({ agent, state: 'open' }));
  const rows = leases.data?.pages.flatMap(({ items }) => items);
  return (
    <Section
      title="Credentials of its tools"
      count={rows && `${rows.length}${leases.hasNextPage ? ' and more' : ''} not ended`}
      actions={
        <Link to="/leases" search={{ agent, state: 'all' }} className="gh-link">
          All there were
        </Link>
      }
    >
      <LeaseTable
        label={`Open leases of ${agent}`}
        rows={rows?.slice(0, SHOWN)}
        without="agent"
        error={leases.error}
        retry={() => void leases.refetch()}
        empty={
          <Empty
            icon={IconKey}
            title="None is out"
            about="No tool holds a credential on its behalf. One is made when a task of it first calls a tool that needs one."
          />
        }
      />
    </Section>
  );
}

/** Of its whole life; a task that needed none does not mention them. */
export function LeasesOfTask({ task }: { task: string }) {
  const leases = useInfiniteQuery(leasesQuery({ task }));
  const rows = leases.data?.pages.flatMap(({ items }) => items);
  if (rows?.length === 0) return null;
  return (
    <Section title="Credentials of its tools" count={rows && `${rows.length}${leases.hasNextPage ? ' and more' : ''}`}>
      <LeaseTable
        label="Leases of this task"
        rows={rows}
        without="task"
        error={leases.error}
        retry={() => void leases.refetch()}
        more={
          leases.hasNextPage
            ? { load: () => void leases.fetchNextPage(), loading: leases.isFetchingNextPage }
            : undefined
        }
        empty={null}
      />
    </Section>
  );
}
