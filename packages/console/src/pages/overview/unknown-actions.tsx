import type { UnknownAction } from '@gatehouse/protocol';
import { useInfiniteQuery } from '@tanstack/react-query';
import { unknownActionsQuery } from '../../api/queries.ts';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Section } from '../../ui/page.tsx';
import { PlainText, ToolName } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';

/** Shown while there are any: each leads to its action, where somebody says what came of it. */
export function UnknownActions() {
  const unknown = useInfiniteQuery(unknownActionsQuery);
  const rows = unknown.data?.pages.flatMap(({ items }) => items);
  if (!rows || rows.length === 0) return null;
  return (
    <Section title="Nobody knows whether these ran">
      <DataTable
        label="Actions whose outcome is unknown"
        rows={rows}
        rowKey={({ actionId }) => actionId}
        link={({ actionId }) => ({ to: '/actions/$id', params: { id: actionId } })}
        columns={columns}
        error={unknown.error}
        retry={() => void unknown.refetch()}
        more={
          unknown.hasNextPage
            ? { load: () => void unknown.fetchNextPage(), loading: unknown.isFetchingNextPage }
            : undefined
        }
        empty={null}
      />
    </Section>
  );
}

const columns: Column<UnknownAction>[] = [
  { header: 'Tool', cell: ({ tool }) => <ToolName tool={tool} /> },
  { header: 'Agent', cell: ({ agent }) => agent },
  { header: 'Why', cell: ({ detail }) => <PlainText text={detail} />, width: '45%' },
  { header: 'Sent', cell: ({ sentAt }) => <When at={sentAt} />, align: 'end' },
];
