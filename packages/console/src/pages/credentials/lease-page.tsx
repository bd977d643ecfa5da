import type { ShownLease } from '@gatehouse/protocol';
import { IconListSearch } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { leaseQuery } from '../../api/credential-queries.ts';
import { actionsQuery } from '../../api/queries.ts';
import { isLive, kindWords, purposeWords } from '../../lib/lease-words.ts';
import { EnvironmentBadge } from '../../ui/badge.tsx';
import { DataTable } from '../../ui/data-table.tsx';
import { Card, Empty, Fact, Facts, Failure, Page, Section } from '../../ui/page.tsx';
import { Identifier } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { actionColumns } from '../actions/action-columns.tsx';
import columns from '../agents/agent.module.css';
import classes from './credentials.module.css';
import { EndButton } from './end-lease.tsx';
import { EndLease } from './end-lease-dialog.tsx';
import { LeaseHistory } from './lease-history.tsx';
import { Until } from './lease-table.tsx';
import { LeaseBadges, Remains } from './lease-words.tsx';
import { RenewButton } from './renew-lease.tsx';
import { Scope } from './scope.tsx';
import { Trouble } from './stuck-leases.tsx';

export function LeasePage() {
  const { id } = useParams({ from: '/house/leases/$id' });
  const found = useQuery(leaseQuery(id));
  const [ending, setEnding] = useState(false);
  const lease = found.data;
  const crumb = (
    <Link to="/leases" className="gh-link">
      Leases
    </Link>
  );
  if (!lease)
    return (
      <Page title="Lease" crumb={crumb}>
        {found.error && <Failure error={found.error} retry={() => void found.refetch()} />}
      </Page>
    );
  return (
    <Page
      title={`Lease of ${lease.provider}`}
      crumb={crumb}
      heading={
        <>
          <span>
            {kindWords(lease.kind?.type)} of {lease.provider}
          </span>
          <LeaseBadges lease={lease} /> <EnvironmentBadge name={lease.environment} />
        </>
      }
      actions={
        <>
          <RenewButton lease={lease} />
          <EndButton lease={lease} end={() => setEnding(true)} size="sm" />
        </>
      }
    >
      {lease.state === 'stuck' && (
        <div className={classes.trouble} role="alert">
          <Trouble lease={lease} />
        </div>
      )}
      <div className={columns.columns}>
        <Section title="Credential">
          <Card>
            <LeaseFacts lease={lease} />
          </Card>
        </Section>
        <Section title="History">
          <Card>
            <LeaseHistory lease={lease} />
          </Card>
        </Section>
      </div>
      <CallsMade lease={id} />
      {ending && <EndLease lease={lease} close={() => setEnding(false)} />}
    </Page>
  );
}

function LeaseFacts({ lease }: { lease: ShownLease }) {
  const { id, name, agent, task, scope, clamped, bounds } = lease;
  return (
    <Facts>
      <Fact name="Id">
        <Identifier value={id} what="id" short />
      </Fact>
      <Fact name="Name outside">
        <Identifier value={name} what="name" />
      </Fact>
      <Fact name="Agent">
        {agent === '' ? (
          <span className="gh-quiet">nobody: it is a test</span>
        ) : (
          <>
            <Link to="/agents/$name" params={{ name: agent }} className="gh-link">
              {agent}
            </Link>
            <Link to="/tasks/$id" params={{ id: task }} className="gh-link">
              task
            </Link>
          </>
        )}
      </Fact>
      <Fact name="For">
        {purposeWords(lease)}
        {lease.singleUse && ', one call'}
        {lease.ungated && ', by a client that calls by itself'}
      </Fact>
      <Fact name="May">
        <Scope scope={scope} />
      </Fact>
      <Fact name={lease.revokedAt === null ? 'Until' : 'Gone since'}>
        <Until lease={lease} /> {lease.revokedAt === null && <When at={lease.expiresAt} />}
      </Fact>
      {clamped.length > 0 && <Fact name="No longer, as">{clamped.join('; ')}</Fact>}
      {bounds.length > 0 && isLive(lease) && (
        <Fact name="At most until">
          {bounds.slice(0, 1).map(({ at, why }) => (
            <span key={why}>
              <When at={at} />, as {why}
            </span>
          ))}
        </Fact>
      )}
      {lease.kind?.abilities.endsOnlyByGatehouse && lease.revokedAt === null && (
        <Fact name="While Gatehouse is away">it works on: nothing at its provider ends it by itself</Fact>
      )}
      <Fact name={lease.revokingAt === null ? 'When it is ended' : 'What is left'}>
        <Remains lease={lease} />
      </Fact>
    </Facts>
  );
}

function CallsMade({ lease }: { lease: string }) {
  const actions = useInfiniteQuery(actionsQuery({ credential: lease }));
  return (
    <Section title="Calls made with it">
      <DataTable
        label="Calls made with this credential"
        rows={actions.data?.pages.flatMap(({ items }) => items)}
        rowKey={({ actionId }) => actionId}
        link={({ actionId }) => ({ to: '/actions/$id', params: { id: actionId } })}
        columns={actionColumns({ agent: false })}
        error={actions.error}
        retry={() => void actions.refetch()}
        more={
          actions.hasNextPage
            ? { load: () => void actions.fetchNextPage(), loading: actions.isFetchingNextPage }
            : undefined
        }
        empty={<Empty icon={IconListSearch} title="No call was made with it" />}
      />
    </Section>
  );
}
