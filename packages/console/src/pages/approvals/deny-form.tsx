import { Button, SegmentedControl, Textarea } from '@mantine/core';
import { IconBan } from '@tabler/icons-react';
import { type FormEvent, useState } from 'react';
import classes from './approval.module.css';

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
        <SegmentedControl
          aria-label="Also suspend"
          size="xs"
          value={suspend}
          onChange={(what) => setSuspend(what as typeof suspend)}
          data={[
            { value: 'nothing', label: 'Deny only' },
            { value: 'task', label: 'and suspend its task' },
            { value: 'agent', label: 'and suspend the agent' },
          ]}
        />
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
