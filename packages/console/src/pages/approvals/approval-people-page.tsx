import type { DecidedBy } from '@gatehouse/protocol';
import { SegmentedControl } from '@mantine/core';
import { IconUsers } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { approvalStatisticsQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty, Page, Section } from '../../ui/page.tsx';

/** How people decide: so that a yes which nobody has read shows. */
export function ApprovalPeoplePage() {
  const session = useSession();
  const [days, setDays] = useState('30');
  const whose = needsRole(session, ['admin', 'security', 'auditor'], 'This') === null ? 'all' : 'mine';
  const statistics = useQuery(approvalStatisticsQuery(whose, Number(days)));
  const table = (label: string, rows: DecidedBy[] | undefined) => (
    <Section title={label}>
      <DataTable
        label={label}
        rows={rows}
        rowKey={({ of }) => of}
        columns={columns}
        error={statistics.error}
        retry={() => void statistics.refetch()}
        empty={<Empty icon={IconUsers} title="Nothing was decided in this time" />}
      />
    </Section>
  );
  return (
    <Page
      title="How people decide"
      crumb={
        <Link to="/approvals" className="gh-link">
          Approvals
        </Link>
      }
      about={
        whose === 'all'
          ? 'From the question to the answer, over everybody’s answers.'
          : 'Your own answers. Security, auditors and admins see everybody’s.'
      }
      actions={
        <SegmentedControl
          size="xs"
          aria-label="Of how many days"
          value={days}
          onChange={setDays}
          data={['7', '30', '90', '365'].map((value) => ({ value, label: `${value} days` }))}
        />
      }
    >
      {table('People', statistics.data?.people)}
      {table('Agents', statistics.data?.agents)}
      {table('Tools', statistics.data?.tools)}
    </Page>
  );
}

const percent = (part: number, whole: number) => (whole === 0 ? '' : `${Math.round((100 * part) / whole)} %`);
const seconds = (ms: number | null) =>
  ms === null ? '' : ms < 120_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;

const columns: Column<DecidedBy>[] = [
  { header: 'Who or what', cell: ({ of }) => of, width: '26%' },
  { header: 'Answers', cell: ({ decided }) => decided },
  { header: 'Yes', cell: ({ approved, decided }) => percent(approved, decided) },
  { header: 'Median time', cell: ({ medianMs }) => seconds(medianMs) },
  { header: 'Yes within 5 s', cell: ({ hasty, decided }) => percent(hasty, decided), hide: 'medium' },
  { header: 'To look at', cell: ({ remark }) => remark },
];
