import type { ShownLease } from '@gatehouse/protocol';
import { dropStatement } from '@gatehouse/protocol/second-yes-statement';
import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { agreeWithPasskey } from '../../api/passkeys.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { kindWords } from '../../lib/lease-words.ts';
import { actorName } from '../../lib/words.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { FormDialog } from '../../ui/dialog.tsx';
import { Fact, Facts } from '../../ui/page.tsx';
import { Identifier, PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';

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
  return lease.drop === null ? <AskDialog lease={lease} close={close} /> : <AgreeDialog lease={lease} close={close} />;
}

function AskDialog({ lease, close }: { lease: ShownLease; close: () => void }) {
  const [reason, setReason] = useState('');
  const { form } = useChange(
    () => call('POST /leases/:id/drop', { params: { id: lease.id }, body: { reason: reason.trim() } }),
    { refresh: ['leases'], done: close },
  );
  return (
    <FormDialog title="Ask to give it up?" button="Ask" grave ready={reason.trim() !== ''} close={close} {...form}>
      <p>
        Nobody tries to end it any more, once somebody else has agreed with a passkey. <WhatRemains lease={lease} />
      </p>
      <TextInput
        label="Why (goes into the record, and to whoever agrees)"
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        maxLength={500}
        required
        data-autofocus
      />
    </FormDialog>
  );
}

/** All that the passkey signs is on the screen. */
function AgreeDialog({ lease, close }: { lease: ShownLease; close: () => void }) {
  const statement = dropStatement(lease);
  const { form } = useChange(
    async () =>
      statement &&
      call('POST /leases/:id/drop/agree', { params: { id: lease.id }, body: await agreeWithPasskey(statement) }),
    { refresh: ['leases'], done: close },
  );
  const { provider, name, agent, environment, drop } = lease;
  return (
    <FormDialog title="Agree to give it up?" button="Give it up with passkey" grave close={close} {...form}>
      <p>Nobody tries to end it any more. Your passkey signs exactly this:</p>
      <Facts>
        <Fact name="Credential">
          {kindWords(lease.kind?.type)} of {provider}, in {environment}
        </Fact>
        <Fact name="Name there">
          <Identifier value={name} what="name" />
        </Fact>
        <Fact name="Agent">{agent === '' ? 'nobody: it is a test' : agent}</Fact>
        <Fact name="What remains">
          <WhatRemains lease={lease} />
        </Fact>
        {drop && (
          <Fact name="Asked for">
            by {actorName(drop.askedBy)}, <When at={drop.askedAt} />: “<PlainText text={drop.reason} />”
          </Fact>
        )}
      </Facts>
    </FormDialog>
  );
}

function WhatRemains({ lease: { endsByItself, drop, expiresAt, worksUntil } }: { lease: ShownLease }) {
  if (!endsByItself) return 'The account there, and what was opened with it, may work until somebody ends them there.';
  const until = drop?.remainsUntil ?? Math.max(expiresAt, worksUntil ?? 0);
  if (until <= Date.now()) return 'Its own time is over: nothing of it should work any more.';
  return (
    <>
      Whoever has it can use it until <When at={until} as="both" />, when its own time is over.
    </>
  );
}
