import type { PersonView } from '@gatehouse/protocol';
import { Button } from '@mantine/core';
import { IconDeviceLaptop, IconFingerprint, IconLink, IconUserCheck, IconUserMinus } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { personQuery, personSessionsQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { sourceInWords } from '../../lib/sign-in-words.ts';
import { actorName, plural } from '../../lib/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { Confirm, FormDialog } from '../../ui/dialog.tsx';
import { Card, Empty, Fact, Facts, Failure, Page, Section } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { Deputies } from '../settings/deputies.tsx';
import { SessionTable } from '../settings/session-table.tsx';
import classes from './identity.module.css';
import { Offboard } from './offboard.tsx';
import { RoleBadges } from './people-page.tsx';
import { SignInLink } from './sign-in-link.tsx';

export function PersonPage() {
  const { email } = useParams({ from: '/house/identity/people/$email' });
  const session = useSession();
  const person = useQuery(personQuery(email));
  const [doing, setDoing] = useState<'link' | 'offboard' | 'reinstate' | 'confirm' | null>(null);
  const close = () => setDoing(null);
  const crumb = (
    <Link to="/identity/people" className="gh-link">
      People
    </Link>
  );
  if (!person.data)
    return (
      <Page title={email} crumb={crumb}>
        {person.error && <Failure error={person.error} retry={() => void person.refetch()} />}
      </Page>
    );
  const administers = needsRole(session, ['admin'], 'This');
  const looksAfter =
    needsRole(session, ['admin', 'security'], 'Offboarding') ??
    (email === session.person.email ? 'Nobody offboards themselves. Ask somebody else.' : null);
  const { displayName, departed } = person.data;
  return (
    <Page
      title={displayName}
      crumb={crumb}
      heading={
        <>
          <PlainText text={displayName} /> <RoleBadges person={person.data} />
        </>
      }
      about={email}
      actions={
        departed ? (
          <Button
            size="sm"
            variant="default"
            leftSection={<IconUserCheck size={16} />}
            disabled={administers !== null}
            title={administers ?? undefined}
            onClick={() => setDoing('reinstate')}
          >
            Bring back…
          </Button>
        ) : (
          <>
            <Button
              size="sm"
              variant="default"
              leftSection={<IconLink size={16} />}
              disabled={administers !== null}
              title={administers ?? undefined}
              onClick={() => setDoing('link')}
            >
              Sign-in link
            </Button>
            <Button
              size="sm"
              color="red.9"
              leftSection={<IconUserMinus size={16} />}
              disabled={looksAfter !== null}
              title={looksAfter ?? undefined}
              onClick={() => setDoing('offboard')}
            >
              Offboard…
            </Button>
          </>
        )
      }
    >
      <div className={classes.columns}>
        <Section title="Who it is">
          <Card>
            <PersonFacts person={person.data} />
            {person.data.unconfirmed && (
              <Button
                variant="default"
                leftSection={<IconFingerprint size={16} />}
                disabled={administers !== null}
                title={administers ?? undefined}
                onClick={() => setDoing('confirm')}
              >
                Confirm the passkey…
              </Button>
            )}
          </Card>
        </Section>
        <Section title="Agents" count={person.data.agents.length}>
          <Card>
            {person.data.agents.length === 0 ? (
              <span className="gh-quiet">Owns none.</span>
            ) : (
              <ul className={classes.list}>
                {person.data.agents.map((name) => (
                  <li key={name}>
                    <Link to="/agents/$name" params={{ name }} className="gh-link">
                      {name}
                    </Link>
                  </li>
                ))}
              </ul>
            )}
          </Card>
        </Section>
      </div>
      {!departed && <Deputies of={email} />}
      {needsRole(session, ['admin', 'security'], '') === null && <SessionsOf person={person.data} />}
      {doing === 'link' && <SignInLink person={person.data} close={close} />}
      {doing === 'offboard' && <Offboard person={person.data} close={close} />}
      {doing === 'confirm' && <ConfirmPasskey person={person.data} close={close} />}
      {doing === 'reinstate' && <Reinstate person={person.data} close={close} />}
    </Page>
  );
}

function PersonFacts({ person }: { person: PersonView }) {
  const { email, groups, source, provisioned, successor, departed, passkeys, identities, unconfirmed } = person;
  return (
    <Facts>
      <Fact name="Email">{email}</Fact>
      <Fact name="Known from">
        {sourceInWords(source)}
        {provisioned && source !== 'scim' && <Badge hue="gray">also in the directory</Badge>}
      </Fact>
      {groups.length > 0 && <Fact name="Groups">{groups.join(', ')}</Fact>}
      <Fact name="Passkeys">{passkeys === 0 ? 'none' : plural(passkeys, 'passkey')}</Fact>
      {unconfirmed && (
        <Fact name="By a link of">
          {actorName(unconfirmed.madeBy)}: until <When at={unconfirmed.until} as="both" /> no second person{' '}
          {unconfirmed.madeBy.startsWith('person:') ? 'for what they want' : 'for anything'}, unless an admin confirms
          it
        </Fact>
      )}
      {identities.map(({ provider, issuer, lastUsedAt }) => (
        <Fact key={issuer} name={provider}>
          last used <When at={lastUsedAt} as="relative" />
        </Fact>
      ))}
      {!departed && (
        <Fact name="Successor">
          {successor ?? <span className="gh-quiet">nobody: their agents would be suspended</span>}
        </Fact>
      )}
      {departed && (
        <Fact name="Left">
          <When at={departed.at} as="both" /> by {actorName(departed.by)}
          {departed.successor && `, agents to ${departed.successor}`}
        </Fact>
      )}
    </Facts>
  );
}

function SessionsOf({ person: { email } }: { person: PersonView }) {
  const queries = useQueryClient();
  const sessions = useQuery(personSessionsQuery(email));
  const [endingAll, setEndingAll] = useState(false);
  const refresh = () => {
    for (const key of ['sessions', 'people']) void queries.invalidateQueries({ queryKey: [key] });
  };
  const end = useMutation({
    mutationFn: (id: string) => call('DELETE /people/:email/sessions/:id', { params: { email, id } }),
    onSuccess: refresh,
  });
  const endAll = useMutation({
    mutationFn: () => call('DELETE /people/:email/sessions', { params: { email } }),
    onSuccess: () => {
      refresh();
      setEndingAll(false);
    },
  });
  const count = sessions.data?.items.length;
  return (
    <Section
      title="Sessions"
      count={count}
      actions={
        !!count && (
          <Button variant="default" onClick={() => setEndingAll(true)}>
            End all
          </Button>
        )
      }
    >
      {end.error && <Failure error={end.error} />}
      <SessionTable
        label={`Sessions of ${email}`}
        sessions={sessions.data?.items}
        end={{ run: ({ id }) => end.mutate(id), pending: end.isPending ? end.variables : undefined }}
        error={sessions.error}
        retry={() => void sessions.refetch()}
        empty={<Empty icon={IconDeviceLaptop} title="They are not signed in" />}
      />
      {endingAll && (
        <Confirm
          title={`End all sessions of ${email}?`}
          button="End all sessions"
          pending={endAll.isPending}
          error={endAll.error}
          submit={() => endAll.mutate()}
          close={() => setEndingAll(false)}
        >
          <p>They are signed out everywhere at once, and can sign in again with a passkey or the company’s sign-in.</p>
        </Confirm>
      )}
    </Section>
  );
}

function ConfirmPasskey({ person: { email }, close }: { person: PersonView; close: () => void }) {
  const { form } = useChange(() => call('POST /people/:email/passkeys/confirm', { params: { email } }), {
    refresh: ['people'],
    done: close,
  });
  return (
    <FormDialog title={`Is this passkey ${email}’s own?`} button="Confirm" close={close} {...form}>
      <p>
        Whoever made the link could have used it themselves. Ask {email}, by another way than this one, whether they
        have enrolled a passkey just now; with your confirmation it counts as theirs.
      </p>
    </FormDialog>
  );
}

function Reinstate({ person: { email }, close }: { person: PersonView; close: () => void }) {
  const queries = useQueryClient();
  const reinstate = useMutation({
    mutationFn: () => call('POST /people/:email/reinstate', { params: { email } }),
    onSuccess: (after) => {
      queries.setQueryData(['people', email], after);
      void queries.invalidateQueries({ queryKey: ['people'] });
      close();
    },
  });
  return (
    <FormDialog
      title={`Bring ${email} back?`}
      button="Bring back"
      pending={reinstate.isPending}
      error={reinstate.error}
      submit={() => reinstate.mutate()}
      close={close}
    >
      <p>
        Their roles count again. Passkeys, delegations and sessions stay gone, and agents stay where they went: make a
        sign-in link for a new passkey.
      </p>
    </FormDialog>
  );
}
