import type { KeepingScope } from '@gatehouse/protocol';
import { Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { FormDialog } from '../../ui/dialog.tsx';

const fields: { name: Exclude<keyof KeepingScope, 'from' | 'to'>; label: string; placeholder: string }[] = [
  { name: 'person', label: 'Person', placeholder: 'zoe@example.com' },
  { name: 'agent', label: 'Agent', placeholder: 'agent-support-prod' },
  { name: 'task', label: 'Task', placeholder: 'tsk_…' },
  { name: 'action', label: 'Action', placeholder: 'act_…' },
  { name: 'ticket', label: 'Ticket', placeholder: 'CASE-7' },
];
const times = [
  { name: 'from', label: 'From' },
  { name: 'to', label: 'Until' },
] as const;

/** Asks for a hold, or for an erasure. All that is given has to fit; one thing has to be given. */
export function KeepDialog({ what, close }: { what: 'hold' | 'erase'; close: () => void }) {
  const [given, setGiven] = useState<KeepingScope>({});
  const [reason, setReason] = useState('');
  const scope = Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => {
      const text = value?.trim() ?? '';
      if (text === '') return [];
      // What a person enters is in their own time zone; the server is told which moment that is.
      return [[name, name === 'from' || name === 'to' ? new Date(text).toISOString() : text]];
    }),
  ) as KeepingScope;
  const body = { scope, reason: reason.trim() };
  const isHold = what === 'hold';
  const { form } = useChange<unknown>(
    () => (isHold ? call('POST /holds', { body }) : call('POST /erasures', { body })),
    { refresh: [isHold ? 'holds' : 'erasures'], done: close },
  );
  const set = (name: keyof KeepingScope, value: string) => setGiven((before) => ({ ...before, [name]: value }));
  return (
    <FormDialog
      title={isHold ? 'Place a legal hold' : 'Ask for an erasure'}
      button={isHold ? 'Hold' : 'Ask for it'}
      grave={!isHold}
      ready={Object.keys(scope).length > 0 && body.reason !== ''}
      close={close}
      {...form}
    >
      <p>
        {isHold
          ? 'Nothing that this is about is removed by age or erased, until two people end it.'
          : 'When somebody else agrees, the arguments of all that this is about are erased, and don’t come back. The records stay. What a hold keeps is not erased.'}
      </p>
      {fields.map(({ name, label, placeholder }, index) => (
        <TextInput
          key={name}
          label={label}
          placeholder={placeholder}
          value={given[name] ?? ''}
          onChange={(event) => set(name, event.currentTarget.value)}
          autoComplete="off"
          spellCheck={false}
          maxLength={200}
          {...(index === 0 && { 'data-autofocus': true })}
        />
      ))}
      {times.map(({ name, label }) => (
        <TextInput
          key={name}
          type="datetime-local"
          label={label}
          value={given[name] ?? ''}
          onChange={(event) => set(name, event.currentTarget.value)}
        />
      ))}
      <Textarea
        label="Reason"
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        maxLength={500}
        required
        autosize
      />
    </FormDialog>
  );
}
