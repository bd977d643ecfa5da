import type { ProposalState, ProposalView } from '@gatehouse/protocol';
import { IconUsers } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { proposalsQuery } from '../../api/queries.ts';
import { actorName, type Hue, plural } from '../../lib/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { PolicyPage } from './policy-page.tsx';

export function ProposalsPage() {
  const proposals = useInfiniteQuery(proposalsQuery);
  return (
    <PolicyPage
      title="Proposals"
      about="Changes that could let through what is stopped in production. Each waits until somebody else than its author ships exactly that, with a passkey."
    >
      <DataTable
        label="Proposals"
        rows={proposals.data?.pages.flatMap(({ items }) => items)}
        rowKey={({ number }) => String(number)}
        link={({ number }) => ({ to: '/policy/proposals/$number', params: { number: String(number) } })}
        columns={columns}
        error={proposals.error}
        retry={() => void proposals.refetch()}
        more={
          proposals.hasNextPage
            ? { load: () => void proposals.fetchNextPage(), loading: proposals.isFetchingNextPage }
            : undefined
        }
        empty={
          <Empty
            icon={IconUsers}
            title="No change waits for a second person"
            about="Once people have passkeys, a change in production that relaxes something waits here instead of being applied."
          />
        }
      />
    </PolicyPage>
  );
}

const states: Record<ProposalState, { label: string; hue: Hue; means: string }> = {
  open: { label: 'Waits', hue: 'amber', means: 'Nothing of it is in force' },
  shipped: { label: 'Shipped', hue: 'green', means: 'It was put into force as it was shown' },
  rejected: { label: 'Rejected', hue: 'red', means: 'Somebody said no, or its author took it back' },
  expired: { label: 'Expired', hue: 'gray', means: 'Nobody decided in time' },
  stale: { label: 'Out of date', hue: 'gray', means: 'What it changes has changed meanwhile: propose it again' },
};

export function ProposalBadge({ state }: { state: ProposalState }) {
  const { label, hue, means } = states[state];
  return (
    <Badge hue={hue} title={means}>
      {label}
    </Badge>
  );
}

const columns: Column<ProposalView>[] = [
  { header: 'Proposal', cell: ({ number }) => `Proposal ${number}` },
  { header: 'State', cell: ({ state }) => <ProposalBadge state={state} /> },
  { header: 'By', cell: ({ author }) => actorName(author) },
  { header: 'Why', cell: ({ note }) => note && <PlainText text={note} />, width: '30%' },
  { header: 'Relaxes', cell: ({ relaxes }) => plural(relaxes.length, 'thing'), hide: 'medium' },
  { header: 'Made', cell: ({ createdAt }) => <When at={createdAt} />, align: 'end' },
];
