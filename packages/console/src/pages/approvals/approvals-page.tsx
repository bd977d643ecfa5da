import type { Approval } from '@gatehouse/protocol';
import { Skeleton } from '@mantine/core';
import { IconGavel, IconHistory } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { approvalsQuery, pendingApprovalsQuery } from '../../api/queries.ts';
import { actorName } from '../../lib/words.ts';
import { ApprovalBadge, EnvironmentBadge, TierBadge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Card, Empty, Failure, Page, Section } from '../../ui/page.tsx';
import { When } from '../../ui/when.tsx';
import { WaitingConsents } from '../consent/waiting-consents.tsx';
import classes from './approval.module.css';
import { ApprovalCard } from './approval-card.tsx';
import { HeldResults } from './held-results.tsx';

export function ApprovalsPage() {
  const pending = useQuery(pendingApprovalsQuery);
  const all = useInfiniteQuery(approvalsQuery({}));
  const decided = all.data?.pages.flatMap(({ items }) => items).filter(({ state }) => state !== 'pending');
  // What runs out first is decided first.
  const waiting = pending.data?.toSorted((a, b) => a.expiresAt - b.expiresAt);
  return (
    <Page
      title="Approvals"
      about="A yes is for exactly one action, with exactly these arguments, once. Your passkey signs its digest."
      actions={
        <Link to="/channels" className="gh-link">
          Where people are told
        </Link>
      }
    >
      <WaitingConsents />
      <Section title="Waiting" count={waiting?.length}>
        {pending.error && !waiting && <Failure error={pending.error} retry={() => void pending.refetch()} />}
        {!waiting && !pending.error && <Skeleton height={260} radius="md" />}
        {waiting?.length === 0 && (
          <Card padded={false}>
            <Empty
              icon={IconGavel}
              title="Nothing waits for a person"
              about="When an agent calls a tool of tier 3, or a policy asks for it, the call waits here, and this page shows it at once."
            />
          </Card>
        )}
        <div className={classes.stack}>
          {waiting?.map((approval) => (
            <ApprovalCard key={approval.id} approval={approval} />
          ))}
        </div>
      </Section>
      <HeldResults />
      <Section title="Decided">
        <DataTable
          label="Decided approvals"
          rows={decided}
          rowKey={({ id }) => id}
          link={({ id }) => ({ to: '/approvals/$id', params: { id } })}
          columns={columns}
          error={all.error}
          retry={() => void all.refetch()}
          more={all.hasNextPage ? { load: () => void all.fetchNextPage(), loading: all.isFetchingNextPage } : undefined}
          empty={<Empty icon={IconHistory} title="Nothing has been decided yet" />}
        />
      </Section>
    </Page>
  );
}

const columns: Column<Approval>[] = [
  { header: 'Tool', cell: ({ tool }) => <span className="gh-mono">{tool}</span>, width: '24%' },
  { header: 'Agent', cell: ({ agent }) => agent },
  { header: 'Environment', cell: ({ environment }) => <EnvironmentBadge name={environment} />, hide: 'medium' },
  { header: 'Tier', cell: ({ decision }) => <TierBadge tier={decision.tier} />, hide: 'medium' },
  { header: 'Decision', cell: ({ state }) => <ApprovalBadge state={state} /> },
  { header: 'By', cell: ({ decidedBy }) => (decidedBy ? actorName(decidedBy) : null) },
  { header: 'When', cell: ({ decidedAt, expiresAt }) => <When at={decidedAt ?? expiresAt} />, align: 'end' },
];
