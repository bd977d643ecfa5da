import type { BudgetView } from '@gatehouse/protocol';
import { IconGauge } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { budgetsQuery } from '../../api/queries.ts';
import { plural } from '../../lib/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { PolicyPage } from './policy-page.tsx';
import { UsageBar } from './usage-bar.tsx';

export function BudgetsPage() {
  const budgets = useInfiniteQuery(budgetsQuery);
  return (
    <PolicyPage
      title="Budgets"
      about="How much agents may do with some tools: calls, items and sums in a window, and calls at the same time."
    >
      <DataTable
        label="Budgets"
        rows={budgets.data?.pages.flatMap(({ items }) => items)}
        rowKey={({ name }) => name}
        link={({ name }) => ({ to: '/policy/budgets/$name', params: { name } })}
        columns={columns}
        error={budgets.error}
        retry={() => void budgets.refetch()}
        more={
          budgets.hasNextPage
            ? { load: () => void budgets.fetchNextPage(), loading: budgets.isFetchingNextPage }
            : undefined
        }
        empty={
          <Empty
            icon={IconGauge}
            title="There are no budgets"
            about="Without one, an agent may do what it is permitted as often as it likes. Apply a manifest of kind Budget with tools, a window and a limit."
          />
        }
      />
    </PolicyPage>
  );
}

export function OverBadge({ over }: { over: BudgetView['over'] }) {
  return over === 'deny' ? (
    <Badge hue="red" title="A call beyond it is refused">
      refused
    </Badge>
  ) : (
    <Badge hue="amber" title="A person is asked about each call beyond it">
      needs approval
    </Badge>
  );
}

const columns: Column<BudgetView>[] = [
  { header: 'Name', cell: ({ name }) => name },
  { header: 'Limit', cell: ({ limit }) => <PlainText text={limit} />, width: '38%' },
  { header: 'Beyond it', cell: ({ over }) => <OverBadge over={over} /> },
  { header: 'Counts apart', cell: ({ counters }) => plural(counters, 'counter'), hide: 'medium' },
  {
    header: 'Fullest',
    cell: ({ fullest }) => <UsageBar percent={fullest} />,
    width: '180px',
  },
];
