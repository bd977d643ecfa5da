import type { SessionView } from '@gatehouse/protocol';
import { Button, TextInput } from '@mantine/core';
import { IconBuilding, IconFingerprint, IconKey, IconLink } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type FormEvent, useEffect, useState } from 'react';
import { call } from '../../api/client.ts';
import { ApiError } from '../../api/problem.ts';
import { sessionQuery } from '../../api/queries.ts';
import { commands } from '../../lib/commands.ts';
import { thisDevice } from '../../lib/device.ts';
import { forgetFragment } from '../../lib/forget-fragment.ts';
import { safeNext } from '../../lib/next-page.ts';
import { Failure } from '../../ui/page.tsx';
import { Command } from '../../ui/text.tsx';
import classes from './sign-in.module.css';
import { SignInCard } from './sign-in-card.tsx';

type Step = { at: 'link'; token: string } | { at: 'passkey'; email?: string } | { at: 'enrol'; session: SessionView };

export function SignInPage() {
  const { next } = useSearch({ from: '/sign-in' });
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [step, setStep] = useState<Step>(() => {
    const token = location.hash.slice(1);
    return token === '' ? { at: 'passkey' } : { at: 'link', token };
  });
  useEffect(() => {
    document.title = 'Sign in · Gatehouse';
  }, []);

  // Somebody may be signed in already, or be half through: a link redeemed, no passkey yet.
  const session = useQuery({ ...sessionQuery, enabled: step.at === 'passkey' });
  useEffect(() => {
    if (step.at === 'passkey' && session.data && !session.data.enrolled && session.data.via !== 'mail')
      setStep({ at: 'enrol', session: session.data });
  }, [step.at, session.data]);

  const enter = async (entered: SessionView) => {
    // What the person before could see is not for this one.
    queries.clear();
    queries.setQueryData(sessionQuery.queryKey, entered);
    await navigate({ href: safeNext(next), replace: true });
  };

  return (
    <SignInCard>
      {step.at === 'link' && <LinkStep token={step.token} onDone={setStep} />}
      {step.at === 'passkey' && (
        <PasskeyStep email={step.email} signedIn={session.data?.enrolled ? session.data : undefined} onDone={enter} />
      )}
      {step.at === 'enrol' && <EnrolStep session={step.session} onDone={enter} />}
    </SignInCard>
  );
}

/** Only a click uses the link up: mail scanners and chat previews open addresses, too. */
function LinkStep({ token, onDone }: { token: string; onDone: (step: Step) => void }) {
  const redeem = useMutation({
    mutationFn: () => call('POST /signin/link', { body: { token } }),
    onSuccess: (answer) => {
      forgetFragment();
      onDone(
        answer.next === 'enrol' ? { at: 'enrol', session: answer.session } : { at: 'passkey', email: answer.email },
      );
    },
  });
  return (
    <>
      <p className={classes.lead}>This is a one-time link. Use it to go on; after that it is worth nothing.</p>
      <Button
        size="md"
        fullWidth
        leftSection={<IconLink size={18} />}
        loading={redeem.isPending}
        onClick={() => redeem.mutate()}
      >
        Use this link
      </Button>
      {redeem.error && <Failure error={redeem.error} />}
      {redeem.error && (
        <Button
          variant="default"
          fullWidth
          onClick={() => {
            forgetFragment();
            onDone({ at: 'passkey' });
          }}
        >
          Sign in with a passkey instead
        </Button>
      )}
    </>
  );
}

/** Most of what it brings is for those who are signed in. */
const passkeys = () => import('../../api/passkeys.ts');

interface PasskeyStepProps {
  email: string | undefined;
  signedIn: SessionView | undefined;
  onDone: (session: SessionView) => void;
}

function PasskeyStep({ email, signedIn, onDone }: PasskeyStepProps) {
  const signIn = useMutation({ mutationFn: async () => (await passkeys()).signInWithPasskey(), onSuccess: onDone });
  return (
    <>
      <p className={classes.lead}>
        {email
          ? `The link is used. ${email} has a passkey: sign in with it.`
          : 'Identity and access management for AI agents'}
      </p>
      <Button
        size="md"
        fullWidth
        autoFocus
        leftSection={<IconFingerprint size={18} />}
        loading={signIn.isPending}
        onClick={() => signIn.mutate()}
      >
        Sign in with a passkey
      </Button>
      <CompanyButtons />
      {signedIn && (
        <Button variant="default" fullWidth onClick={() => onDone(signedIn)}>
          Go on as {signedIn.person.displayName}
        </Button>
      )}
      {signIn.error && <Failure error={signIn.error} />}
      <details className={classes.help}>
        <summary>No passkey yet?</summary>
        <p>Ask an admin for a one-time sign-in link. On the server’s own host you can make one yourself:</p>
        <Command>{commands.signInLink('YOU@EXAMPLE.TEST')}</Command>
      </details>
    </>
  );
}

/** One button for each identity provider of the company. What goes wrong over there is told on the page that it leads back to. */
function CompanyButtons() {
  const { next } = useSearch({ from: '/sign-in' });
  const providers = useQuery({
    queryKey: ['sign-in-providers'],
    queryFn: () => call('GET /signin/providers'),
    staleTime: 60_000,
  });
  const begin = useMutation({
    mutationFn: (provider: string) => call('POST /signin/provider', { body: { provider, next: safeNext(next) } }),
    onSuccess: ({ url }) => location.assign(url),
  });
  return (
    <>
      {providers.data?.items.map(({ name, displayName }) => (
        <Button
          key={name}
          variant="default"
          size="md"
          fullWidth
          leftSection={<IconBuilding size={18} />}
          loading={begin.isPending && begin.variables === name}
          onClick={() => begin.mutate(name)}
        >
          Sign in with {displayName}
        </Button>
      ))}
      {begin.error && <Failure error={begin.error} />}
    </>
  );
}

function EnrolStep({ session, onDone }: { session: SessionView; onDone: (session: SessionView) => void }) {
  const [name, setName] = useState(thisDevice);
  const enrol = useMutation({
    mutationFn: async () => (await passkeys()).enrolPasskey(name.trim()),
    onSuccess: onDone,
  });
  const stale = enrol.error instanceof ApiError && enrol.error.status === 401;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    enrol.mutate();
  };
  return (
    <form onSubmit={submit} className={classes.form}>
      <p className={classes.lead}>
        Welcome, {session.person.displayName}. Make a passkey on this device: from now on you sign in with it, and every
        approval that you give is signed by it.
      </p>
      <TextInput
        size="sm"
        label="Name of this passkey"
        description="To tell it from others, if you lose a device"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        maxLength={100}
        required
      />
      <Button type="submit" size="md" fullWidth leftSection={<IconKey size={18} />} loading={enrol.isPending}>
        Create the passkey
      </Button>
      {enrol.error && <Failure error={enrol.error} />}
      {stale && <p className={classes.lead}>Ask for a new link: this one’s time has run out.</p>}
    </form>
  );
}
