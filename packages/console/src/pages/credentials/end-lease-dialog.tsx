import type { ShownLease } from '@gatehouse/protocol';
import { abilitiesOf, residualOf } from '@gatehouse/protocol/residual';
import { Button, TextInput } from '@mantine/core';
import { IconCircleCheck, IconHourglassHigh } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../api/client.ts';
import { leaseQuery } from '../../api/credential-queries.ts';
import { isLive, kindWords, purposeWords } from '../../lib/lease-words.ts';
import { duration } from '../../lib/time.ts';
import { Badge } from '../../ui/badge.tsx';
import { Dialog, FormDialog } from '../../ui/dialog.tsx';
import { Fact, Facts } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import classes from './credentials.module.css';
import { Remains } from './lease-words.tsx';
import { Scope } from './scope.tsx';

/** Asks, and then stays to say what came of it: ended and verified, or still being ended, and why. */
export function EndLease({ lease, close }: { lease: ShownLease; close: () => void }) {
  const queries = useQueryClient();
  const [reason, setReason] = useState('');
  const end = useMutation({
    mutationFn: () => call('POST /leases/:id/revoke', { params: { id: lease.id }, body: { reason } }),
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: ['leases'] });
      void queries.invalidateQueries({ queryKey: ['providers'] });
    },
  });
  const what = `${kindWords(lease.kind?.type)} of ${lease.provider}`;
  if (end.isSuccess) return <Ended id={lease.id} what={what} close={close} />;
  const { remains } = residualOf(abilitiesOf(lease));
  return (
    <FormDialog
      title={`Revoke the ${what} now?`}
      button="Revoke now"
      grave
      close={close}
      pending={end.isPending}
      error={end.error}
      submit={() => end.mutate()}
    >
      <Facts>
        <Fact name="Agent">{lease.agent === '' ? 'nobody: it is a test' : lease.agent}</Fact>
        <Fact name="For">{purposeWords(lease)}</Fact>
        <Fact name="May">
          <Scope scope={lease.scope} />
        </Fact>
        <Fact name="What happens">
          <Remains lease={lease} />
        </Fact>
      </Facts>
      <p>
        {remains === 'nothing'
          ? 'A call that is under way with it may fail. '
          : `No other call gets it, but whoever has it can use it until ${remains === 'stored' ? 'it is changed where it is kept' : 'then'}: its provider has no way to end it. `}
        {lease.agent !== '' && 'The task goes on: its next call is made with another. To stop the agent, kill it.'}
      </p>
      <TextInput
        label="Why (optional, goes into the record)"
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        maxLength={500}
        data-autofocus
      />
    </FormDialog>
  );
}

function Ended({ id, what, close }: { id: string; what: string; close: () => void }) {
  const lease = useQuery(leaseQuery(id)).data;
  return (
    <Dialog title={lease?.state === 'revoked' ? 'Its end is over' : 'It is being ended'} close={close}>
      <div role="status" aria-live="polite">
        {lease ? <HowFar lease={lease} what={what} /> : <p>Looking how far its end has come…</p>}
      </div>
      <div className={classes.buttons}>
        <Button onClick={close} data-autofocus>
          Close
        </Button>
      </div>
    </Dialog>
  );
}

/** How far the end of one has come, with times and what stands in its way. */
export function HowFar({ lease, what }: { lease: ShownLease; what: string }) {
  const { state, revokingAt, revokedAt, attempts, problem, nextTryAt } = lease;
  const isStored = residualOf(abilitiesOf(lease)).remains === 'stored';
  if (revokedAt !== null)
    return (
      <p>
        <Badge hue="green" icon={IconCircleCheck}>
          verified
        </Badge>{' '}
        The {what} is {isStored ? 'used no more, and stays as it is where it is kept' : 'verified to be gone'}:{' '}
        <When at={revokedAt} />
        {revokingAt !== null && `, ${duration(revokedAt - revokingAt)} after its end began`}.
      </p>
    );
  if (isLive(lease)) return <p>It works now.</p>;
  return (
    <>
      <p>
        <Badge hue={state === 'stuck' ? 'red' : 'amber'} icon={IconHourglassHigh}>
          not verified
        </Badge>{' '}
        No call gets it any more. It is being ended{' '}
        {revokingAt !== null && (
          <>
            since <When at={revokingAt} as="both" />
          </>
        )}
        .
      </p>
      {attempts > 0 && (
        <p>
          {attempts === 1 ? 'An attempt has' : `${attempts} attempts have`} failed
          {nextTryAt !== null && (
            <>
              ; the next is at <When at={nextTryAt} />
            </>
          )}
          .
        </p>
      )}
      {problem !== null && (
        <p>
          <PlainText text={problem} />
        </p>
      )}
    </>
  );
}
