import type { OffboardResult, PersonView } from '@gatehouse/protocol';
import { Button, Checkbox, Select, Textarea } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { peopleQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.ts';
import { plural } from '../../lib/words.ts';
import { Confirm, Dialog } from '../../ui/dialog.tsx';
import classes from './identity.module.css';

/** Somebody leaves. What will happen is said before, and what has happened after. */
export function Offboard({ person, close }: { person: PersonView; close: () => void }) {
  const { email, displayName, agents, sessions, passkeys } = person;
  const [successor, setSuccessor] = useState<string | null>(person.successor);
  const [keepKeys, setKeepKeys] = useState(false);
  const [reason, setReason] = useState('');
  const { answer, form } = useChange(
    () =>
      call('POST /people/:email/offboard', {
        params: { email },
        body: { reason, keepKeys, ...(successor !== null && { successor }) },
      }),
    { refresh: ['people', 'agents', 'sessions', 'delegations'] },
  );
  if (answer) return <Report result={answer} close={close} />;
  return (
    <Confirm title={`Offboard ${displayName}`} word={email} button="Offboard" {...form} close={close} size="lg">
      {agents.length > 0 && <Successor of={email} value={successor} onChange={setSuccessor} />}
      {agents.length > 0 && (
        <Checkbox
          label="Keep the keys of their agents"
          description={`Only where ${displayName} can have no copy of them.`}
          checked={keepKeys}
          onChange={(event) => setKeepKeys(event.currentTarget.checked)}
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
          <li>Open join tokens of their agents, and those that they made, are revoked.</li>
          {agents.length > 0 && (
            <li>
              {agents.join(', ')} {agents.length === 1 ? 'is' : 'are'}{' '}
              {successor === null
                ? 'suspended, and does nothing until somebody owns it'
                : `handed over to ${successor}`}
              .
            </li>
          )}
          {agents.length > 0 && (
            <li>
              {keepKeys
                ? 'The agents keep their keys: whoever has a copy of one goes on acting as that agent.'
                : 'The keys of the agents are dropped, with every token of before and what waits for approval: they enrol again.'}
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

interface SuccessorProps {
  of: string;
  value: string | null;
  onChange: (email: string | null) => void;
}

/** Anybody who is here but the one who leaves and the one who asks: the server takes neither. */
function Successor({ of, value, onChange }: SuccessorProps) {
  const { person } = useSession();
  const [typed, setTyped] = useState(value ?? '');
  const [search] = useDebouncedValue(typed === value ? '' : typed, 200);
  const people = useInfiniteQuery(peopleQuery(search));
  const found = people.data?.pages.flatMap(({ items }) => items) ?? [];
  const names = new Map(found.map(({ email, displayName }) => [email, displayName]));
  const others = found.filter(({ email, departed }) => ![of, person.email].includes(email) && departed === null);
  return (
    <Select
      label="Who takes over their agents"
      {...(people.hasNextPage && { description: 'There are more people than the list shows: type to search.' })}
      placeholder="Nobody: the agents are suspended"
      data={[...new Set([...(value === null ? [] : [value]), ...others.map(({ email }) => email)])]}
      renderOption={({ option }) => `${names.get(option.value) ?? ''} (${option.value})`}
      value={value}
      onChange={onChange}
      searchValue={typed}
      onSearchChange={setTyped}
      // The server has searched, in names as well.
      filter={({ options }) => options}
      nothingFoundMessage="Nobody is found"
      maxLength={200}
      searchable
      clearable
    />
  );
}

function Report({ result, close }: { result: OffboardResult; close: () => void }) {
  const { person, successor, handedOver, suspended, keepKeys, droppedKeys, trustRules } = result;
  return (
    <Dialog title={`${person} is offboarded`} close={close}>
      <ul>
        <li>
          {plural(result.endedSessions, 'session')} ended, {plural(result.removedPasskeys, 'passkey')} removed,{' '}
          {plural(result.revokedDelegations, 'delegation')} and {plural(result.revokedJoinTokens, 'join token')}{' '}
          revoked.
        </li>
        {handedOver.length > 0 && (
          <li>
            To {successor}: {handedOver.join(', ')}.
          </li>
        )}
        {suspended.length > 0 && <li>Suspended: {suspended.join(', ')}.</li>}
        {keepKeys && <li>The agents keep their keys.</li>}
        {droppedKeys > 0 && <li>{plural(droppedKeys, 'key')} dropped: give each agent a join token to enrol again.</li>}
        {trustRules.length > 0 && (
          <li>Still let in by these trust rules; look at what each trusts: {trustRules.join(', ')}.</li>
        )}
      </ul>
      <div className={classes.buttons}>
        <Button onClick={close} data-autofocus>
          Done
        </Button>
      </div>
    </Dialog>
  );
}
