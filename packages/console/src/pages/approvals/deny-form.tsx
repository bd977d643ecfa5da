import { Button, Textarea } from '@mantine/core';
import { IconBan } from '@tabler/icons-react';
import { type FormEvent, useState } from 'react';
import classes from './approval.module.css';
import own from './deny-form.module.css';

export interface Denial {
  reason: string;
  suspend?: 'task' | 'agent';
}

interface DenyFormProps {
  isRelease: boolean;
  maySuspend: boolean;
  pending: boolean;
  deny: (denial: Denial) => void;
  close: () => void;
}

const suspensions = [
  { value: 'nothing', label: 'Deny only' },
  { value: 'task', label: 'and suspend its task' },
  { value: 'agent', label: 'and suspend the agent' },
] as const;

/** There at once: whoever presses `d` types the reason without waiting. */
export function DenyForm({ isRelease, maySuspend, pending, deny, close }: DenyFormProps) {
  const [reason, setReason] = useState('');
  const [suspend, setSuspend] = useState<'nothing' | 'task' | 'agent'>('nothing');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    deny({ reason, ...(suspend !== 'nothing' && { suspend }) });
  };
  return (
    <form onSubmit={submit} className={classes.deny}>
      <Textarea
        label="Why not? (optional; the agent and the record get it)"
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        maxLength={500}
        autosize
        minRows={1}
        autoFocus
      />
      {maySuspend && (
        <fieldset className={own.suspend}>
          <legend>Also suspend</legend>
          {suspensions.map(({ value, label }) => (
            <label key={value}>
              <input type="radio" name="suspend" checked={suspend === value} onChange={() => setSuspend(value)} />
              {label}
            </label>
          ))}
        </fieldset>
      )}
      <div className={classes.buttons}>
        <Button type="submit" size="sm" color="red.9" leftSection={<IconBan size={16} />} loading={pending}>
          {isRelease ? 'Discard' : suspend === 'nothing' ? 'Deny' : 'Deny and suspend'}
        </Button>
        <Button size="sm" variant="default" onClick={close}>
          Back
        </Button>
      </div>
    </form>
  );
}
