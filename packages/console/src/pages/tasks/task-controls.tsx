import type { Task } from '@gatehouse/protocol';
import { Button, TextInput } from '@mantine/core';
import { IconPlayerPause, IconPlayerPlay, IconPlayerStop } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { FormDialog } from '../../ui/dialog.tsx';
import { Failure } from '../../ui/page.tsx';

const CHANGED = ['tasks', 'agents'];

/** Stop it for now, let it go on, or end it for good. */
export function TaskControls({ task, now }: { task: Task; now: number }) {
  const session = useSession();
  const queries = useQueryClient();
  const [suspending, setSuspending] = useState(false);
  const refresh = () => {
    for (const key of CHANGED) void queries.invalidateQueries({ queryKey: [key] });
  };
  const params = { id: task.id };
  const resume = useMutation({ mutationFn: () => call('POST /tasks/:id/resume', { params }), onSettled: refresh });
  const end = useMutation({ mutationFn: () => call('POST /tasks/:id/end', { params }), onSettled: refresh });
  const obstacle = (what: string) => needsRole(session, ['admin', 'security', 'developer', 'owner', 'approver'], what);
  if (task.state !== 'active' || task.expiresAt <= now) return null;
  return (
    <>
      {task.suspended ? (
        <AllowedButton
          obstacle={obstacle('Letting a task go on')}
          size="sm"
          leftSection={<IconPlayerPlay size={15} />}
          loading={resume.isPending}
          title="Its calls are decided again from now on"
          onClick={() => resume.mutate()}
        >
          Let it go on
        </AllowedButton>
      ) : (
        <AllowedButton
          obstacle={obstacle('Suspending a task')}
          size="sm"
          leftSection={<IconPlayerPause size={15} />}
          title="Its calls are refused until a person lets it go on; its time runs on"
          onClick={() => setSuspending(true)}
        >
          Suspend…
        </AllowedButton>
      )}
      <Button
        size="sm"
        variant="default"
        leftSection={<IconPlayerStop size={15} />}
        loading={end.isPending}
        disabled={obstacle('Ending a task') !== null}
        title={obstacle('Ending a task') ?? 'Its tokens are refused from now on; the agent may start another task'}
        onClick={() => end.mutate()}
      >
        End this task
      </Button>
      {resume.error && <Failure error={resume.error} />}
      {end.error && <Failure error={end.error} />}
      {suspending && <Suspend task={task} close={() => setSuspending(false)} />}
    </>
  );
}

function Suspend({ task, close }: { task: Task; close: () => void }) {
  const [reason, setReason] = useState('');
  const { form } = useChange(
    () => call('POST /tasks/:id/suspend', { params: { id: task.id }, body: { reason: reason.trim() } }),
    { refresh: CHANGED, done: close },
  );
  return (
    <FormDialog title="Suspend this task" close={close} button="Suspend" ready={reason.trim() !== ''} {...form}>
      <p>Every call of it is refused until a person lets it go on. Its time runs on meanwhile.</p>
      <TextInput
        label="Why (the agent and the record get it)"
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        maxLength={500}
        withAsterisk
        data-autofocus
      />
    </FormDialog>
  );
}
