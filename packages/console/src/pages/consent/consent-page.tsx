import type { ConsentView } from '@gatehouse/protocol';
import { Skeleton } from '@mantine/core';
import { IconCircleCheck, IconUserQuestion } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { consentQuery } from '../../api/queries.ts';
import { Card, Empty, Fact, Facts, Failure, Page } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { Warning } from '../../ui/warning.tsx';
import { TimeLeft } from '../../ui/when.tsx';
import classes from './consent.module.css';
import { ConsentForm } from './consent-form.tsx';
import { SignInForm } from './sign-in-form.tsx';

/** Where a client sends a person, where a device code leads, and where an agent's question out of band is answered. */
export function ConsentPage() {
  const { id } = useParams({ from: '/house/consent/$id' });
  const consent = useQuery(consentQuery(id));
  const [done, setDone] = useState<'yes' | 'no' | undefined>();
  const name = consent.data?.client.name ?? 'An application';
  const signIn = consent.data?.signIn;
  const words = signIn
    ? { title: 'Sign in the command line', about: 'Read who asks, and for what, then answer.' }
    : {
        title: `${name} asks for your consent`,
        heading: (
          <>
            <PlainText text={name} /> asks for your consent
          </>
        ),
        about:
          'Read what it may do, take away what it does not need, then answer. Whatever it does is recorded with your name.',
      };
  if (consent.error && !consent.data) return <NotAsked id={id} error={consent.error} />;
  return (
    <Page {...words}>
      {consent.isLoading && <Skeleton height={320} radius="md" />}
      {consent.data && done === undefined && (
        <>
          <Client consent={consent.data} />
          {signIn ? (
            <SignInForm consent={consent.data} signIn={signIn} onDone={setDone} again={() => void consent.refetch()} />
          ) : consent.data.choices.length === 0 ? (
            <Empty icon={IconUserQuestion} title="Nothing that you could allow" about={consent.data.obstacle} />
          ) : (
            <ConsentForm consent={consent.data} onDone={setDone} again={() => void consent.refetch()} />
          )}
        </>
      )}
      {done !== undefined && (
        <Empty
          icon={IconCircleCheck}
          title={done === 'no' ? 'You have said no' : signIn ? 'The command line is signed in' : 'You have said yes'}
          about="Go back to where you were asked. You can close this page."
        />
      )}
    </Page>
  );
}

/** A code that a device shows is typed by hand, and may be mistyped. */
function NotAsked({ id, error }: { id: string; error: Error }) {
  const isCode = id.startsWith('device-');
  return (
    <Page title={isCode ? 'Connect a device' : 'Consent'}>
      <Failure error={error} />
      {isCode && (
        <p>
          <Link to="/device" search={{}} className="gh-link">
            Type the code again
          </Link>
        </p>
      )}
    </Page>
  );
}

const known: Record<ConsentView['client']['known'], string> = {
  registered: 'registered here by an admin',
  'metadata-document': 'not registered here; described by a document at its own address',
  dynamic: 'not registered here by any person: it introduced itself, and may be anything',
  agent: 'an agent of this workspace',
  'command-line': 'the Gatehouse command line tool',
};

function Client({ consent }: { consent: ConsentView }) {
  const { client, resources, bindingMessage, userCode, expiresAt } = consent;
  return (
    <Card>
      <Facts>
        <Fact name="Who asks">
          <span>
            <PlainText text={client.name} /> <code>{client.id}</code>
          </span>
        </Fact>
        <Fact name="Known as">{known[client.known]}</Fact>
        {client.host && (
          <Fact name="Described at">
            <code>{client.host}</code>
          </Fact>
        )}
        {client.redirectHost && (
          <Fact name="Answer goes to">
            <code>{client.redirectHost}</code>
          </Fact>
        )}
        {(consent.signIn ? [] : resources).map((resource) => (
          <Fact key={resource} name="For">
            <code>{resource}</code>
          </Fact>
        ))}
        {bindingMessage && (
          <Fact name="It says">
            <PlainText text={bindingMessage} />
          </Fact>
        )}
        {userCode && (
          <Fact name="Code">
            <code className={classes.code}>{userCode.replace(/(.{4})(?=.)/g, '$1-')}</code>
          </Fact>
        )}
        <Fact name="Time left">
          <TimeLeft until={expiresAt} />
        </Fact>
      </Facts>
      {client.loopback && (
        <Warning>
          The answer goes to a program on this computer, and any program here can claim to be “
          <PlainText text={client.name} />
          ”. Go on only if you have just started this yourself.
        </Warning>
      )}
      {userCode && (
        <Warning>
          Go on only if this code stands on a device in front of you. If somebody sent it to you, they want your consent
          for themselves.
        </Warning>
      )}
    </Card>
  );
}
