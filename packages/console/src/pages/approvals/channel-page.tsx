import type { DeliveryView } from '@gatehouse/protocol';
import { IconBell } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { call } from '../../api/client.ts';
import { channelQuery, deliveriesQuery } from '../../api/queries.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Card, Empty, Failure, Page, Section } from '../../ui/page.tsx';
import { TestButton } from '../../ui/test-button.tsx';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { ChannelHealth } from './channels-page.tsx';

export function ChannelPage() {
  const { name } = useParams({ from: '/house/channels/$name' });
  const channel = useQuery(channelQuery(name));
  const deliveries = useInfiniteQuery(deliveriesQuery(name));
  return (
    <Page
      title={name}
      crumb={
        <Link to="/channels" className="gh-link">
          Channels
        </Link>
      }
      about={channel.data?.description}
      actions={<TestButton name={name} what="a channel" refresh="channels" send={() => tryIt(name)} />}
    >
      {channel.error && <Failure error={channel.error} retry={() => void channel.refetch()} />}
      {channel.data && (
        <Card>
          <ChannelHealth channel={channel.data} /> {channel.data.type}; says {channel.data.manifest.show};{' '}
          {channel.data.waiting} waiting, {channel.data.dead} given up.
          {channel.data.lastError && (
            <p>
              Last failure <When at={channel.data.lastError.at} />: <PlainText text={channel.data.lastError.error} />
            </p>
          )}
        </Card>
      )}
      <Section title="Deliveries">
        <DataTable
          label="Deliveries"
          rows={deliveries.data?.pages.flatMap(({ items }) => items)}
          rowKey={({ id }) => id}
          link={({ approval }) => ({ to: '/approvals/$id', params: { id: approval } })}
          columns={columns}
          error={deliveries.error}
          retry={() => void deliveries.refetch()}
          more={
            deliveries.hasNextPage
              ? { load: () => void deliveries.fetchNextPage(), loading: deliveries.isFetchingNextPage }
              : undefined
          }
          empty={<Empty icon={IconBell} title="Nothing was to be delivered yet" />}
        />
      </Section>
    </Page>
  );
}

async function tryIt(name: string) {
  const { ok, tookMs, error: why } = await call('POST /channels/:name/test', { params: { name } });
  return { ok, tookMs, why };
}

const hues = { sent: 'green', waiting: 'amber', dropped: 'gray', dead: 'red' } as const;

const columns: Column<DeliveryView>[] = [
  { header: 'Approval', cell: ({ approval }) => <code>{approval}</code> },
  { header: 'About', cell: ({ event }) => (event === 'asked' ? 'somebody is needed' : 'decided') },
  { header: 'To', cell: ({ recipient }) => recipient, hide: 'medium' },
  { header: 'State', cell: ({ state }) => <Badge hue={hues[state]}>{state}</Badge> },
  { header: 'Tries', cell: ({ attempts }) => <span className="gh-numbers">{attempts}</span>, hide: 'medium' },
  { header: 'Why', cell: ({ error }) => (error ? <PlainText text={error} /> : null) },
  { header: 'When', cell: ({ updatedAt }) => <When at={updatedAt} />, align: 'end' },
];
