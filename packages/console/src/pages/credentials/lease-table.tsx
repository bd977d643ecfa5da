import type { ShownLease } from '@gatehouse/protocol';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { isLive, isOpen, kindWords, purposeWords } from '../../lib/lease-words.ts';
import { shortId } from '../../lib/words.ts';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Name } from '../../ui/text.tsx';
import { TimeLeft, useNow, When } from '../../ui/when.tsx';
import { EndButton } from './end-lease.tsx';
import { EndLease } from './end-lease-dialog.tsx';
import { LeaseBadges, Remains } from './lease-words.tsx';
import { Scope } from './scope.tsx';

interface LeaseTableProps {
  label: string;
  rows: ShownLease[] | undefined;
  /** Columns that say the same in each row are left out. */
  without?: 'agent' | 'task';
  empty: ReactNode;
  error: unknown;
  retry: () => void;
  more?: { load: () => void; loading: boolean } | undefined;
}

export function LeaseTable({ without, ...table }: LeaseTableProps) {
  const [ending, setEnding] = useState<ShownLease | null>(null);
  return (
    <>
      <DataTable
        {...table}
        rowKey={({ id }) => id}
        link={({ id }) => ({ to: '/leases/$id', params: { id } })}
        columns={columns(setEnding, without)}
      />
      {ending && <EndLease lease={ending} close={() => setEnding(null)} />}
    </>
  );
}

function columns(end: (lease: ShownLease) => void, without: LeaseTableProps['without']): Column<ShownLease>[] {
  const whose: Column<ShownLease> = {
    header: without === 'agent' ? 'Task' : 'Agent and task',
    cell: ({ agent, task }) => <Whose agent={without === 'agent' ? null : agent} task={task} />,
  };
  return [
    {
      header: 'Credential',
      width: '18%',
      cell: ({ kind, provider, purpose, agent, singleUse }) => (
        <>
          {kindWords(kind?.type)} of <Name of={provider} />
          <small className="gh-quiet gh-break">
            {' '}
            for {purposeWords({ purpose, agent })}
            {singleUse && ', one call'}
          </small>
        </>
      ),
    },
    { header: 'State', width: '9%', cell: (lease) => <LeaseBadges lease={lease} /> },
    ...(without === 'task' ? [] : [whose]),
    { header: 'May', cell: ({ scope }) => <Scope scope={scope} />, width: '18%' },
    { header: 'Since', cell: ({ intendedAt }) => <When at={intendedAt} as="relative" />, hide: 'medium' },
    { header: 'Until', cell: (lease) => <Until lease={lease} /> },
    { header: 'When it is ended', cell: (lease) => <Remains lease={lease} />, width: '18%' },
    {
      header: '',
      cell: (lease) => (isOpen(lease) ? <EndButton lease={lease} end={() => end(lease)} /> : null),
      align: 'end',
    },
  ];
}

function Whose({ agent, task }: { agent: string | null; task: string }) {
  if (agent === '') return <span className="gh-quiet">nobody: a test</span>;
  return (
    <>
      {agent !== null && (
        <Link to="/agents/$name" params={{ name: agent }} className="gh-link">
          <Name of={agent} />
        </Link>
      )}
      {agent !== null && <br />}
      <Link to="/tasks/$id" params={{ id: task }} className="gh-link gh-nowrap" title={task}>
        {agent !== null && 'task '}
        {shortId(task)}
      </Link>
    </>
  );
}

export function Until({ lease }: { lease: ShownLease }) {
  const now = useNow();
  const { revokedAt, revokingAt, expiresAt } = lease;
  if (revokedAt !== null) return <When at={revokedAt} />;
  if (isLive(lease) && expiresAt > now) return <TimeLeft until={expiresAt} />;
  if (revokingAt === null) return <When at={expiresAt} />;
  return (
    <span>
      ending since <When at={revokingAt} as="relative" />
    </span>
  );
}
