import type { SinkView } from '@gatehouse/protocol';
import { IconShare2 } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { sinksQuery } from '../../api/queries.ts';
import { plural } from '../../lib/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty, Page } from '../../ui/page.tsx';
import { When } from '../../ui/when.tsx';

export function SinksPage() {
  const sinks = useQuery(sinksQuery);
  return (
    <Page
      title="Sinks"
      crumb={
        <Link to="/log" className="gh-link">
          Log
        </Link>
      }
      about="Where records go beyond this house: a SIEM, a collector, a bucket. Each gets every record at least once; one that is away delays nothing."
    >
      <DataTable
        label="Sinks"
        rows={sinks.data?.items}
        rowKey={({ name }) => name}
        link={({ name }) => ({ to: '/sinks/$name', params: { name } })}
        columns={columns}
        error={sinks.error}
        retry={() => void sinks.refetch()}
        empty={
          <Empty
            icon={IconShare2}
            title="There are no sinks"
            about="Records stay here only. Apply a manifest of kind Sink."
          />
        }
      />
    </Page>
  );
}

const hues = { delivering: 'green', behind: 'amber', failing: 'red', paused: 'gray' } as const;

/** Whether records arrive, in one word. */
export function SinkHealth({ sink: { state, problem } }: { sink: SinkView }) {
  return (
    <Badge hue={hues[state]} title={problem ?? undefined}>
      {state}
    </Badge>
  );
}

/** How many wait, and for how long. */
export const waitingOf = ({ backlog, lagSeconds }: SinkView): string =>
  backlog === 0 ? 'nothing' : `${plural(backlog, 'record')}, ${lagSeconds} s`;

const columns: Column<SinkView>[] = [
  { header: 'Name', cell: ({ name }) => name },
  { header: 'Health', cell: (sink) => <SinkHealth sink={sink} /> },
  { header: 'To', cell: ({ type, destination }) => `${type} ${destination}`, hide: 'medium' },
  { header: 'Format', cell: ({ format }) => format, hide: 'medium' },
  { header: 'Waiting', cell: waitingOf },
  { header: 'Set aside', cell: ({ quarantined }) => <span className="gh-numbers">{quarantined}</span>, hide: 'medium' },
  { header: 'Missed', cell: ({ missed }) => <span className="gh-numbers">{missed}</span>, hide: 'medium' },
  {
    header: 'Last delivery',
    cell: ({ lastDeliveredAt }) => (lastDeliveredAt ? <When at={lastDeliveredAt} as="relative" /> : null),
    align: 'end',
  },
];
