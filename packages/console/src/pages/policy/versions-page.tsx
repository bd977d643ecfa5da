import type { PolicyVersionView } from '@gatehouse/protocol';
import { IconHistory } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { versionsQuery } from '../../api/queries.ts';
import { actorName } from '../../lib/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { PolicyPage } from './policy-page.tsx';

export function VersionsPage() {
  const versions = useInfiniteQuery(versionsQuery);
  return (
    <PolicyPage
      title="Versions"
      about="Every state of what decides, newest first: who made it, who shipped it, and what differs from the one before."
    >
      <DataTable
        label="Versions"
        rows={versions.data?.pages.flatMap(({ items }) => items)}
        rowKey={({ number }) => String(number)}
        link={({ number }) => ({ to: '/policy/versions/$number', params: { number: String(number) } })}
        columns={columns}
        error={versions.error}
        retry={() => void versions.refetch()}
        more={
          versions.hasNextPage
            ? { load: () => void versions.fetchNextPage(), loading: versions.isFetchingNextPage }
            : undefined
        }
        empty={<Empty icon={IconHistory} title="There is no version yet" about="The first apply makes one." />}
      />
    </PolicyPage>
  );
}

const SHOWN = 3;

const columns: Column<PolicyVersionView>[] = [
  { header: 'Version', cell: ({ number }) => `Version ${number}` },
  {
    header: '',
    cell: ({ current, rollbackTo }) => (
      <>
        {current && <Badge hue="green">in force</Badge>}{' '}
        {rollbackTo !== null && <Badge hue="violet">back to {rollbackTo}</Badge>}
      </>
    ),
  },
  { header: 'By', cell: ({ by }) => actorName(by) },
  { header: 'Shipped by', cell: ({ approvedBy }) => approvedBy && actorName(approvedBy), hide: 'medium' },
  {
    header: 'What',
    cell: ({ note, changes }) => (
      <>
        {note && <PlainText text={`“${note}” `} />}
        <PlainText text={changes.slice(0, SHOWN).join(' · ')} />
        {changes.length > SHOWN && ` and ${changes.length - SHOWN} more`}
      </>
    ),
    width: '40%',
  },
  { header: 'When', cell: ({ at }) => <When at={at} />, align: 'end' },
];
