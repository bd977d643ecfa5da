import type { OffboardResult, PersonView } from '@gatehouse/protocol';
import { Button, Select, Textarea } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../api/client.ts';
import { peopleQuery } from '../../api/queries.ts';
import { plural } from '../../lib/words.ts';
import { Confirm, Dialog } from '../../ui/dialog.tsx';
import classes from './identity.module.css';

/** Somebody leaves. What will happen is said before, and what has happened after. */
export function Offboard({ person, close }: { person: PersonView; close: () => void }) {
  const { email, displayName, agents, sessions, passkeys } = person;
  const queries = useQueryClient();
  const others = useQuery(peopleQuery).data?.items.filter((each) => each.email !== email && each.departed === null);
  const [successor, setSuccessor] = useState<string | null>(person.successor);
  const [reason, setReason] = useState('');
  const offboard = useMutation({
    mutationFn: () =>
      call('POST /people/:email/offboard', {
        params: { email },
        body: { reason, ...(successor !== null && { successor }) },
      }),
    onSuccess: () => {
      for (const key of ['people', 'agents', 'sessions', 'delegations'])
        void queries.invalidateQueries({ queryKey: [key] });
    },
  });
  if (offboard.data) return <Report result={offboard.data} close={close} />;
  return (
    <Confirm
      title={`Offboard ${displayName}`}
      word={email}
      button="Offboard"
      pending={offboard.isPending}
      error={offboard.error}
      submit={() => offboard.mutate()}
      close={close}
      size="lg"
    >
      {agents.length > 0 && (
        <Select
          label="Who takes over their agents"
          placeholder="Nobody: the agents are suspended"
          data={others?.map((other) => ({ value: other.email, label: `${other.displayName} (${other.email})` })) ?? []}
          value={successor}
          onChange={setSuccessor}
          searchable
          clearable
        />
      )}
      <div>
        <strong>This will happen, at once and on every replica:</strong>
        <ul>
          <li>
            {plural(sessions, 'session')} of {displayName} {sessions === 1 ? 'ends' : 'end'}, and{' '}
            {plural(passkeys, 'passkey')} {passkeys === 1 ? 'is' : 'are'} removed.
          </li>
          <li>Every delegation of theirs is revoked, and the tasks that rest on one end.</li>
          {agents.length > 0 && (
            <li>
              {agents.join(', ')} {agents.length === 1 ? 'is' : 'are'}{' '}
              {successor === null
                ? 'suspended, and does nothing until somebody owns it'
                : `handed over to ${successor}`}
              .
            </li>
          )}
          <li>Their roles count no more. Records of what they did stay.</li>
        </ul>
      </div>
      <Textarea
        label="Why (optional, goes into the record)"
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        maxLength={500}
        autosize
        minRows={1}
      />
    </Confirm>
  );
}

function Report({ result, close }: { result: OffboardResult; close: () => void }) {
  const { person, successor, endedSessions, removedPasskeys, handedOver, suspended, revokedDelegations } = result;
  return (
    <Dialog title={`${person} is offboarded`} close={close}>
      <ul>
        <li>
          {plural(endedSessions, 'session')} ended, {plural(removedPasskeys, 'passkey')} removed,{' '}
          {plural(revokedDelegations, 'delegation')} revoked.
        </li>
        {handedOver.length > 0 && (
          <li>
            To {successor}: {handedOver.join(', ')}.
          </li>
        )}
        {suspended.length > 0 && <li>Suspended: {suspended.join(', ')}.</li>}
      </ul>
      <div className={classes.buttons}>
        <Button onClick={close} data-autofocus>
          Done
        </Button>
      </div>
    </Dialog>
  );
}
