import type { AccountView } from '@gatehouse/protocol';
import { Button } from '@mantine/core';
import { IconPlugConnected } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { call } from '../../api/client.ts';
import { accountsQuery } from '../../api/credential-queries.ts';
import { useSession } from '../../app/session.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Confirm } from '../../ui/dialog.tsx';
import { notify } from '../../ui/notices.tsx';
import { Empty } from '../../ui/page.tsx';
import { Name, PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { ConnectAccount } from './connect-account.tsx';
import { CredentialsPage } from './credentials-page.tsx';

/** Accounts at other systems that people let agents use: one's own, and what one may see of others'. */
export function AccountsPage() {
  const { person } = useSession();
  const { provider, agent, scopes } = useSearch({ from: '/house/accounts' });
  const accounts = useQuery(accountsQuery);
  const [ending, setEnding] = useState<AccountView | null>(null);
  const mayEndAll = person.roles.some((role) => role === 'admin' || role === 'security');
  const columns: Column<AccountView>[] = [
    { header: 'Whose', cell: ({ user }) => <span className="gh-break">{user === person.email ? 'mine' : user}</span> },
    {
      header: 'Agent',
      cell: ({ agent: name }) => (
        <Link to="/agents/$name/identity" params={{ name }} className="gh-link">
          <Name of={name} />
        </Link>
      ),
    },
    {
      header: 'At',
      cell: ({ issuer, provider: by, scopes: granted }) => (
        <span className="gh-break">
          {by} <small className="gh-quiet">{issuer}</small>
          <br />
          <PlainText text={granted.join(' ')} mono />
        </span>
      ),
    },
    {
      header: 'For',
      cell: ({ destinations }) => (
        <span className="gh-break">
          {destinations === null ? <span className="gh-quiet">not kept then</span> : destinations.join(', ')}
        </span>
      ),
      hide: 'medium',
    },
    { header: 'State', cell: (account) => <State of={account} /> },
    { header: 'Connected', cell: ({ connectedAt }) => <When at={connectedAt} as="relative" />, hide: 'medium' },
    {
      header: 'Used',
      cell: ({ lastUsedAt }) => (lastUsedAt === null ? 'never' : <When at={lastUsedAt} as="relative" />),
      hide: 'medium',
    },
    {
      header: '',
      align: 'end',
      cell: (account) =>
        account.state !== 'ending' &&
        (account.user === person.email || mayEndAll) && (
          <Button
            variant="default"
            onClick={() => setEnding(account)}
            aria-label={`Disconnect ${account.provider} of ${account.user} from ${account.agent}`}
          >
            Disconnect
          </Button>
        ),
    },
  ];
  return (
    <CredentialsPage
      title="Accounts"
      about="Accounts at other systems that people let an agent use, with these scopes, at these tool servers, in tasks that are theirs. The agent sees no token of them."
    >
      <ConnectAccount key={`${provider} ${agent} ${scopes}`} asked={{ provider, agent, scopes }} />
      <DataTable
        label="Accounts"
        rows={accounts.data?.items}
        rowKey={({ id }) => id}
        columns={columns}
        error={accounts.error}
        retry={() => void accounts.refetch()}
        empty={
          <Empty
            icon={IconPlugConnected}
            title="No agent uses an account of yours"
            about="A tool that needs one says so when its agent calls it, with the address of this page. You can take it back at any time."
          />
        }
      />
      {ending && <Disconnect account={ending} close={() => setEnding(null)} />}
    </CredentialsPage>
  );
}

function State({ of: { state, problem } }: { of: AccountView }) {
  if (state === 'connected') return <Badge hue="green">connected</Badge>;
  return (
    <span className="gh-break">
      <Badge hue={state === 'broken' ? 'red' : 'orange'}>{state === 'broken' ? 'connect again' : 'ending'}</Badge>{' '}
      {problem && <PlainText text={problem} />}
    </span>
  );
}

function Disconnect({ account: { id, agent, provider, user }, close }: { account: AccountView; close: () => void }) {
  const queries = useQueryClient();
  const disconnect = useMutation({
    mutationFn: () => call('DELETE /accounts/:id', { params: { id } }),
    onSuccess: ({ revoked, problem }) => {
      for (const key of ['accounts', 'leases']) void queries.invalidateQueries({ queryKey: [key] });
      notify({
        message: revoked
          ? 'It is disconnected, and revoked there.'
          : problem
            ? 'It is disconnected. It is not revoked there yet: that is tried until it is done.'
            : 'It is disconnected. It could not be revoked there: its person takes the access back at the other system.',
      });
      close();
    },
  });
  return (
    <Confirm
      title={`Disconnect ${user} from ${agent}?`}
      button="Disconnect"
      pending={disconnect.isPending}
      error={disconnect.error}
      submit={() => disconnect.mutate()}
      close={close}
    >
      <p>
        {agent} gets nothing more of this account ({provider}), what it was issued ends, and the access is revoked at
        the other system where that can be.
      </p>
    </Confirm>
  );
}
