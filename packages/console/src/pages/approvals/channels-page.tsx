import type { ChannelView } from '@gatehouse/protocol';
import { IconBell } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { channelsQuery } from '../../api/queries.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty, Page } from '../../ui/page.tsx';
import { When } from '../../ui/when.tsx';

export function ChannelsPage() {
  const channels = useQuery(channelsQuery);
  return (
    <Page
      title="Channels"
      crumb={
        <Link to="/approvals" className="gh-link">
          Approvals
        </Link>
      }
      about="Where people are told of what waits for them. A message leads to the page where a passkey approves."
    >
      <DataTable
        label="Channels"
        rows={channels.data?.items}
        rowKey={({ name }) => name}
        link={({ name }) => ({ to: '/channels/$name', params: { name } })}
        columns={columns}
        error={channels.error}
        retry={() => void channels.refetch()}
        empty={
          <Empty
            icon={IconBell}
            title="There are no channels"
            about="Without one, people see what waits in this console only. Apply a manifest of kind Channel."
          />
        }
      />
    </Page>
  );
}

/** Whether messages arrive, in one word. */
export function ChannelHealth({ channel: { waiting, lastError, lastSentAt } }: { channel: ChannelView }) {
  if (lastError && lastError.at > (lastSentAt ?? 0))
    return (
      <Badge hue="red" title={lastError.error}>
        fails
      </Badge>
    );
  if (lastSentAt === null) return <Badge hue="gray">not used yet</Badge>;
  return waiting > 0 ? <Badge hue="amber">{waiting} wait</Badge> : <Badge hue="green">delivers</Badge>;
}

const columns: Column<ChannelView>[] = [
  { header: 'Name', cell: ({ name }) => name },
  { header: 'Type', cell: ({ type }) => type },
  { header: 'Health', cell: (channel) => <ChannelHealth channel={channel} /> },
  { header: 'Answers', cell: ({ answers }) => (answers ? 'taken' : 'none'), hide: 'medium' },
  { header: 'Given up', cell: ({ dead }) => <span className="gh-numbers">{dead}</span>, hide: 'medium' },
  {
    header: 'Last message',
    cell: ({ lastSentAt }) => (lastSentAt ? <When at={lastSentAt} as="relative" /> : null),
    align: 'end',
  },
];
