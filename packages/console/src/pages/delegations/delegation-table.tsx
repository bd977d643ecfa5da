import type { Delegation } from '@gatehouse/protocol';
import { Button } from '@mantine/core';
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { call } from '../../api/client.ts';
import { delegationsQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.ts';
import { plural } from '../../lib/words.ts';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Confirm, FormDialog } from '../../ui/dialog.tsx';
import { notify } from '../../ui/notices.tsx';
import { When } from '../../ui/when.tsx';
import { DelegationState } from './delegation-state.tsx';

interface DelegationTableProps {
  label: string;
  filter: { user?: string; agent?: string };
  /** What the page says already. */
  without: 'agent' | 'user' | null;
  empty: ReactNode;
  /** Id of the one that its person was asked to look at. */
  review?: string | undefined;
}

export function DelegationTable({ label, filter, without, empty, review }: DelegationTableProps) {
  const { person } = useSession();
  const delegations = useInfiniteQuery(delegationsQuery(filter));
  const rows = delegations.data?.pages.flatMap(({ items }) => items);
  const [doing, setDoing] = useState<{ what: 'review' | 'revoke'; to: Delegation } | null>(null);
  const [dismissed, setDismissed] = useState(false);
  const asked = dismissed ? undefined : rows?.find(({ id, user }) => id === review && user === person.email);
  const current =
    doing ??
    (asked && (asked.state === 'active' || asked.state === 'review-due')
      ? { what: 'review' as const, to: asked }
      : null);
  const close = () => {
    setDoing(null);
    setDismissed(true);
  };
  const mayRevokeAll = person.roles.some((role) => role === 'admin' || role === 'security');
  const columns: Column<Delegation>[] = [
    ...(without === 'agent'
      ? []
      : [
          {
            header: 'Agent',
            cell: ({ agent }: Delegation) => (
              <Link to="/agents/$name/identity" params={{ name: agent }} className="gh-link">
                {agent}
              </Link>
            ),
          },
        ]),
    ...(without === 'user'
      ? []
      : [{ header: 'Acts for', cell: ({ user }: Delegation) => <span className="gh-break">{user}</span> }]),
    { header: 'State', cell: ({ state }) => <DelegationState state={state} /> },
    { header: 'What it may do', cell: (delegation) => <Bounds delegation={delegation} /> },
    {
      header: 'Used',
      cell: ({ used, lastUsedAt }) =>
        lastUsedAt === null ? (
          'never'
        ) : (
          <>
            {plural(used, 'time')}, <When at={lastUsedAt} as="relative" />
          </>
        ),
      hide: 'medium',
    },
    { header: 'Until', cell: ({ expiresAt }) => <When at={expiresAt} /> },
    {
      header: '',
      align: 'end',
      cell: (delegation) => {
        const { state, user, agent } = delegation;
        const isOver = state === 'revoked' || state === 'expired';
        if (isOver || (user !== person.email && !mayRevokeAll)) return null;
        return (
          <span style={{ display: 'inline-flex', gap: 6, flexWrap: 'wrap', justifyContent: 'flex-end' }}>
            {user === person.email && state === 'review-due' && (
              <Button onClick={() => setDoing({ what: 'review', to: delegation })} aria-label={`Review ${agent}`}>
                Review
              </Button>
            )}
            <Button
              variant="default"
              onClick={() => setDoing({ what: 'revoke', to: delegation })}
              aria-label={`Revoke ${agent} for ${user}`}
            >
              Revoke
            </Button>
          </span>
        );
      },
    },
  ];
  return (
    <>
      <DataTable
        label={label}
        rows={rows}
        rowKey={({ id }) => id}
        columns={columns}
        error={delegations.error}
        retry={() => void delegations.refetch()}
        more={
          delegations.hasNextPage
            ? { load: () => void delegations.fetchNextPage(), loading: delegations.isFetchingNextPage }
            : undefined
        }
        empty={empty}
      />
      {current?.what === 'revoke' && <Revoke delegation={current.to} close={close} />}
      {current?.what === 'review' && <Review delegation={current.to} close={close} />}
    </>
  );
}

function Bounds({
  delegation: { template, parameters, tools, taskTtlSeconds, maxTasksPerDay },
}: {
  delegation: Delegation;
}) {
  const fixed = Object.entries(parameters).map(([name, value]) => `${name} = ${String(value)}`);
  const limits = [
    ...fixed,
    tools === null ? 'all its tools' : listed(tools),
    ...(taskTtlSeconds === null ? [] : [`${plural(Math.floor(taskTtlSeconds / 60), 'minute')} each`]),
    ...(maxTasksPerDay === null ? [] : [`${plural(maxTasksPerDay, 'task')} a day`]),
  ];
  return (
    <span className="gh-break">
      {template}
      <br />
      <span className="gh-quiet">{limits.join(' · ')}</span>
    </span>
  );
}

const listed = (tools: string[]) =>
  tools.length > 12 ? `${tools.slice(0, 10).join(', ')} and ${tools.length - 10} more tools` : tools.join(', ');

function Revoke({ delegation: { id, agent, user }, close }: { delegation: Delegation; close: () => void }) {
  const queries = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => call('DELETE /delegations/:id', { params: { id } }),
    onSuccess: () => {
      for (const key of ['delegations', 'tasks', 'agents']) void queries.invalidateQueries({ queryKey: [key] });
      notify({ message: `${agent} acts no more for ${user} under it.` });
      close();
    },
  });
  return (
    <Confirm
      title={`Revoke what ${user} lets ${agent} do?`}
      button="Revoke"
      pending={revoke.isPending}
      error={revoke.error}
      submit={() => revoke.mutate()}
      close={close}
    >
      <p>Every running task that rests on it ends now, on every replica. It can’t be undone; a new one can be made.</p>
    </Confirm>
  );
}

function Review({ delegation, close }: { delegation: Delegation; close: () => void }) {
  const { id, agent, used, lastUsedAt } = delegation;
  const queries = useQueryClient();
  const review = useMutation({
    mutationFn: () => call('POST /delegations/:id/review', { params: { id } }),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ['delegations'] });
      close();
    },
  });
  return (
    <FormDialog
      title={`Shall ${agent} go on acting for you?`}
      button="Let it stand"
      pending={review.isPending}
      error={review.error}
      submit={() => review.mutate()}
      close={close}
    >
      <p>
        <Bounds delegation={delegation} />
      </p>
      <p>
        {lastUsedAt === null ? 'It was never used.' : `It was used ${plural(used, 'time')}.`} If you are not sure, close
        this and revoke it.
      </p>
    </FormDialog>
  );
}
