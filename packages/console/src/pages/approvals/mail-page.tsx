import type { SessionView } from '@gatehouse/protocol';
import { Button, Skeleton } from '@mantine/core';
import { IconMailOpened } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { call } from '../../api/client.ts';
import { approvalQuery, sessionQuery } from '../../api/queries.ts';
import { forgetFragment } from '../../lib/forget-fragment.ts';
import { Failure } from '../../ui/page.tsx';
import classes from '../sign-in/sign-in.module.css';
import { SignInCard } from '../sign-in/sign-in-card.tsx';
import { ApprovalCard } from './approval-card.tsx';

/** Where the link of a mail leads: to one approval, outside of the rest of the console, which its session does not open. */
export function MailPage() {
  const { id } = useParams({ from: '/mail/$id' });
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [token, setToken] = useState(() => location.hash.slice(1));
  const session = useQuery(sessionQuery);
  const isOpen = session.data?.via === 'mail' && session.data.approval === id;
  useEffect(() => {
    document.title = 'An action waits for you · Gatehouse';
  }, []);
  // Whoever is signed in needs no link.
  const isSignedIn = session.data?.enrolled === true;
  useEffect(() => {
    if (!isSignedIn) return;
    forgetFragment();
    void navigate({ to: '/approvals/$id', params: { id }, replace: true });
  }, [isSignedIn, navigate, id]);

  const enter = (entered: SessionView) => {
    forgetFragment();
    setToken('');
    // What the person before could see is not for this one.
    queries.clear();
    queries.setQueryData(sessionQuery.queryKey, entered);
  };
  if (session.isLoading || isSignedIn) return null;
  if (isOpen && session.data) return <OneApproval id={id} session={session.data} />;
  return (
    <SignInCard>
      {token === '' ? (
        <p className={classes.lead}>This page needs the link of a mail, which opens it once in one browser.</p>
      ) : (
        <UseLink token={token} approval={id} onDone={enter} />
      )}
      <Link to="/sign-in" search={{ next: `/approvals/${id}` }} className="gh-link">
        Sign in with a passkey instead
      </Link>
    </SignInCard>
  );
}

/** Only a click uses the link up: mail scanners open addresses, too. */
function UseLink(props: { token: string; approval: string; onDone: (session: SessionView) => void }) {
  const { token, approval, onDone } = props;
  const redeem = useMutation({
    mutationFn: () => call('POST /signin/mail', { body: { token, approval } }),
    onSuccess: onDone,
  });
  return (
    <>
      <p className={classes.lead}>
        An agent waits for you. This link works once, in this browser. To approve you need your passkey.
      </p>
      <Button
        size="md"
        fullWidth
        leftSection={<IconMailOpened size={18} />}
        loading={redeem.isPending}
        onClick={() => redeem.mutate()}
      >
        Show what waits
      </Button>
      {redeem.error && <Failure error={redeem.error} />}
    </>
  );
}

function OneApproval({ id, session }: { id: string; session: SessionView }) {
  const approval = useQuery(approvalQuery(id));
  const isPending = approval.data?.state === 'pending';
  return (
    <main className={classes.alone}>
      <h1>{isPending ? 'An action waits for you' : 'Approval'}</h1>
      <p className="gh-quiet">
        Opened by a mail to {session.person.email}, for this action alone.{' '}
        {isPending && 'Read all of it. Your yes is for exactly this call, once.'}
      </p>
      {approval.error && !approval.data && <Failure error={approval.error} />}
      {approval.isLoading && <Skeleton height={320} radius="md" />}
      {approval.data && <ApprovalCard approval={approval.data} linked={false} />}
    </main>
  );
}
