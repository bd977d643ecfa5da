import type { Approval } from '@gatehouse/protocol';
import { IconHistory } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { approvalsQuery } from '../../api/queries.ts';
import { actorName } from '../../lib/words.ts';
import { ApprovalBadge, EnvironmentBadge, TierBadge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty, Page, Section } from '../../ui/page.tsx';
import { When } from '../../ui/when.tsx';
import { WaitingConsents } from '../consent/waiting-consents.tsx';
import { HeldResults } from './held-results.tsx';
import { Inbox } from './inbox.tsx';

export function ApprovalsPage() {
  const all = useInfiniteQuery(approvalsQuery({}));
  const decided = all.data?.pages.flatMap(({ items }) => items).filter(({ state }) => state !== 'pending');
  return (
    <Page
      title="Approvals"
      about="A yes is for exactly one action, with exactly these arguments, once. Your passkey signs its digest."
      actions={
        <>
          <Link to="/approvals/people" className="gh-link">
            How people decide
          </Link>
          <Link to="/channels" className="gh-link">
            Where people are told
          </Link>
        </>
      }
    >
      <WaitingConsents />
      <Inbox />
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
