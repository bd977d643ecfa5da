import type { ObservedView } from '@gatehouse/protocol';
import { SegmentedControl } from '@mantine/core';
import { IconEye } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { observedQuery } from '../../api/queries.ts';
import { plural } from '../../lib/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty } from '../../ui/page.tsx';
import { PolicyPage } from './policy-page.tsx';

const DAYS = ['1', '7', '30'];

/** What policies that decide nothing yet would have done, so that enforcing them is no surprise. */
export function ObservedPage() {
  const [days, setDays] = useState('30');
  const observed = useQuery(observedQuery(Number(days)));
  return (
    <PolicyPage
      title="Observed"
      about="What policies in observe mode would have changed, had they been enforced. None of it has happened: they decide nothing."
      actions={
        <SegmentedControl
          aria-label="How far back"
          value={days}
          onChange={setDays}
          data={DAYS.map((value) => ({ value, label: value === '1' ? 'a day' : `${value} days` }))}
        />
      }
    >
      {observed.data && (
        <p className="gh-quiet" style={{ margin: '0 0 10px', fontSize: 13 }}>
          {plural(observed.data.decisions, 'recorded decision')} looked at.
        </p>
      )}
      <DataTable
        label="Observed policies"
        rows={observed.data?.items}
        rowKey={({ policy }) => policy}
        columns={columns}
        error={observed.error}
        retry={() => void observed.refetch()}
        empty={
          <Empty
            icon={IconEye}
            title="No policy is in observe mode"
            about={
              'Put @mode("observe") before a policy: it is evaluated and counted here, and decides nothing until you take that away.'
            }
          />
        }
      />
    </PolicyPage>
  );
}

type Row = ObservedView['items'][number];

const fileOf = (policy: string) => policy.split('#')[0] ?? policy;

const columns: Column<Row>[] = [
  {
    header: 'Policy',
    cell: ({ policy }) => (
      <Link to="/policy/files/$name" params={{ name: fileOf(policy) }} className="gh-link gh-mono">
        {policy}
      </Link>
    ),
  },
  {
    header: 'State',
    cell: ({ observing }) =>
      observing ? <Badge hue="amber">observed only</Badge> : <Badge hue="gray">no longer observed</Badge>,
  },
  { header: 'Would have stopped', cell: ({ stops }) => stops, align: 'end' },
  { header: 'Would have let run', cell: ({ runs }) => runs, align: 'end' },
  { header: 'Would have made wait', cell: ({ waits }) => waits, align: 'end' },
  {
    header: 'For example',
    cell: ({ examples }) =>
      examples.slice(0, 3).map((id, at) => (
        <span key={id}>
          {at > 0 && ', '}
          <Link to="/actions/$id" params={{ id }} className="gh-link">
            {`action ${at + 1}`}
          </Link>
        </span>
      )),
    hide: 'medium',
  },
];
