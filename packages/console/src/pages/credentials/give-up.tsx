import type { ShownLease } from '@gatehouse/protocol';
import { TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../api/client.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { actorName } from '../../lib/words.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { FormDialog } from '../../ui/dialog.tsx';
import { PlainText } from '../../ui/text.tsx';

/** Not to be tried any more, whatever it may still do: one person asks, another agrees. */
export function GiveUp({ lease }: { lease: ShownLease }) {
  const [open, setOpen] = useState(false);
  const session = useSession();
  const { drop } = lease;
  const obstacle = needsRole(session, ['admin', 'security'], 'Giving up a credential');
  const isOwn = drop !== null && actorName(drop.askedBy) === session.person.email;
  const ownQuestion = isOwn ? 'You asked for it: somebody else has to agree.' : null;
  return (
    <>
      {drop === null ? (
        <>
          Its system is gone for good?{' '}
          <AllowedButton size="compact-xs" obstacle={obstacle} onClick={() => setOpen(true)}>
            Ask to give it up
          </AllowedButton>
        </>
      ) : (
        <>
          {actorName(drop.askedBy)} asks to give it up: “<PlainText text={drop.reason} />”{' '}
          <AllowedButton size="compact-xs" obstacle={obstacle ?? ownQuestion} onClick={() => setOpen(true)}>
            Agree
          </AllowedButton>
        </>
      )}
      {open && <GiveUpDialog lease={lease} close={() => setOpen(false)} />}
    </>
  );
}

function GiveUpDialog({ lease, close }: { lease: ShownLease; close: () => void }) {
  const { id, provider, name, drop, endsByItself } = lease;
  const queries = useQueryClient();
  const [reason, setReason] = useState('');
  const act = useMutation({
    mutationFn: () =>
      drop === null
        ? call('POST /leases/:id/drop', { params: { id }, body: { reason } })
        : call('POST /leases/:id/drop/agree', { params: { id } }),
    onSuccess: close,
    onSettled: () => void queries.invalidateQueries({ queryKey: ['leases'] }),
  });
  return (
    <FormDialog
      title={drop === null ? 'Ask to give it up?' : 'Agree to give it up?'}
      button={drop === null ? 'Ask' : 'Give it up'}
      grave
      close={close}
      pending={act.isPending}
      error={act.error}
      submit={() => act.mutate()}
    >
      <p>
        Nobody tries to end it any more.{' '}
        {endsByItself
          ? 'Whoever has it can use it until its own time is over.'
          : `The account ${name} at ${provider}, and what was opened with it, may work until somebody ends them there.`}
        {drop === null && ' Somebody else has to agree.'}
      </p>
      {drop === null && (
        <TextInput
          label="Why (goes into the record, and to whoever agrees)"
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          maxLength={500}
          required
          data-autofocus
        />
      )}
    </FormDialog>
  );
}
