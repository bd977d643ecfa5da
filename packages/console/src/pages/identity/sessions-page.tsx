import type { SessionSummaryView } from '@gatehouse/protocol';
import { SegmentedControl } from '@mantine/core';
import { IconDeviceLaptop } from '@tabler/icons-react';
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { call } from '../../api/client.ts';
import { everyonesSessionsQuery } from '../../api/queries.ts';
import type { SessionsSearch } from '../../app/routes/identity.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { deviceName } from '../../lib/device.ts';
import { Confirm } from '../../ui/dialog.tsx';
import { Empty, Toolbar } from '../../ui/page.tsx';
import { SessionTable } from '../settings/session-table.tsx';
import { Sessions } from '../settings/sessions.tsx';
import { IdentityPage } from './identity-page.tsx';

export function SessionsPage() {
  const session = useSession();
  const mayOversee = needsRole(session, ['admin', 'security', 'auditor'], 'Seeing the sessions of others') === null;
  return (
    <IdentityPage
      title="Sessions"
      about="Who is signed in here now, how, and until when. An agent has no session: it has credentials for one task."
    >
      {mayOversee ? <Everyones /> : <Sessions />}
    </IdentityPage>
  );
}

function Everyones() {
  const session = useSession();
  const { via } = useSearch({ from: '/house/identity/sessions' });
  const navigate = useNavigate();
  const sessions = useInfiniteQuery(everyonesSessionsQuery(via));
  const [ending, setEnding] = useState<SessionSummaryView | null>(null);
  return (
    <>
      <Toolbar>
        <SegmentedControl
          aria-label="Began by"
          value={via ?? 'any'}
          onChange={(chosen) =>
            void navigate({
              to: '/identity/sessions',
              search: chosen === 'any' ? {} : { via: chosen as NonNullable<SessionsSearch['via']> },
              replace: true,
            })
          }
          data={[
            { value: 'any', label: 'All' },
            { value: 'passkey', label: 'Passkey' },
            { value: 'oidc', label: 'Company' },
            { value: 'device', label: 'Command line' },
            { value: 'recovery', label: 'Recovery' },
            { value: 'mail', label: 'Mail' },
          ]}
        />
      </Toolbar>
      <SessionTable
        label="Sessions"
        people
        sessions={sessions.data?.pages.flatMap(({ items }) => items)}
        end={{
          run: setEnding,
          pending: undefined,
          obstacle: needsRole(session, ['admin', 'security'], 'Ending the session of somebody else'),
        }}
        error={sessions.error}
        retry={() => void sessions.refetch()}
        more={
          sessions.hasNextPage
            ? { load: () => void sessions.fetchNextPage(), loading: sessions.isFetchingNextPage }
            : undefined
        }
        empty={
          <Empty
            icon={IconDeviceLaptop}
            title={via === undefined ? 'Nobody is signed in' : 'No session began that way'}
            about="Choose All to see every session."
          />
        }
      />
      {ending && <EndSession session={ending} close={() => setEnding(null)} />}
    </>
  );
}

function EndSession({ session: { id, person, userAgent }, close }: { session: SessionSummaryView; close: () => void }) {
  const queries = useQueryClient();
  const end = useMutation({
    mutationFn: () => call('DELETE /people/:email/sessions/:id', { params: { email: person, id } }),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ['sessions'] });
      close();
    },
  });
  return (
    <Confirm
      title={`End the session of ${person}?`}
      button="End the session"
      pending={end.isPending}
      error={end.error}
      submit={() => end.mutate()}
      close={close}
    >
      <p>
        They are signed out on {deviceName(userAgent)} at once, and can sign in again. To keep them out, offboard them.
      </p>
    </Confirm>
  );
}
