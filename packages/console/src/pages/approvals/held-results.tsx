import type { HeldResult } from '@gatehouse/protocol';
import { IconPackage } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { heldResultsQuery } from '../../api/queries.ts';
import { bytesWords } from '../../lib/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty, Section } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';

/** Results that are kept back: each leads to the approval where it is released, with a passkey, or discarded. */
export function HeldResults() {
  const results = useInfiniteQuery(heldResultsQuery);
  return (
    <Section title="Held results">
      <DataTable
        label="Held results"
        rows={results.data?.pages.flatMap(({ items }) => items)}
        rowKey={({ id }) => id}
        link={({ approval, action }) =>
          approval === null
            ? { to: '/actions/$id', params: { id: action } }
            : { to: '/approvals/$id', params: { id: approval } }
        }
        columns={columns}
        error={results.error}
        retry={() => void results.refetch()}
        more={
          results.hasNextPage
            ? { load: () => void results.fetchNextPage(), loading: results.isFetchingNextPage }
            : undefined
        }
        empty={
          <Empty
            icon={IconPackage}
            title="No result is held"
            about="A result that is larger than its tool or permission allows, or in which a detector found something, is sealed and waits here. Nobody sees what it says before it is released."
          />
        }
      />
    </Section>
  );
}

const columns: Column<HeldResult>[] = [
  { header: 'Tool', cell: ({ tool }) => <span className="gh-mono">{tool}</span> },
  { header: 'Agent', cell: ({ agent }) => agent },
  { header: 'Why', cell: ({ reason }) => <PlainText text={reason} />, width: '30%' },
  { header: 'Items', cell: ({ items }) => items, align: 'end', hide: 'medium' },
  { header: 'Size', cell: ({ bytes }) => bytesWords(bytes), align: 'end', hide: 'medium' },
  {
    header: 'State',
    cell: ({ state }) =>
      state === 'approved' ? (
        <Badge hue="green" title="The agent gets it when it repeats the call">
          released
        </Badge>
      ) : (
        <Badge hue="amber" title="A person releases or discards it">
          waits
        </Badge>
      ),
  },
  { header: 'Held', cell: ({ createdAt }) => <When at={createdAt} />, hide: 'medium' },
  { header: 'Until', cell: ({ expiresAt }) => <When at={expiresAt} />, align: 'end' },
];
