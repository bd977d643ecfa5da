import { Button, Modal, Select, Textarea, TextInput } from '@mantine/core';
import { IconShieldX } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { call } from '../../api/client.ts';
import { agentsQuery } from '../../api/queries.ts';
import { mayKill, useSession } from '../../app/session.ts';
import { plural, standingOf } from '../../lib/words.ts';
import { EnvironmentBadge, StandingBadge } from '../../ui/badge.tsx';
import { Failure } from '../../ui/page.tsx';
import classes from './kill.module.css';
import { KillReport } from './kill-report.tsx';

interface KillDialogProps {
  /** Without one it is chosen here. */
  agent?: string;
  close: () => void;
}

/** The switch (law 6). The name is typed, so that nobody stops the wrong agent at 2 a.m. */
export function KillDialog({ agent: given, close }: KillDialogProps) {
  const session = useSession();
  const queries = useQueryClient();
  const agents = useQuery(agentsQuery).data;
  const [chosen, setChosen] = useState<string | null>(given ?? null);
  const [typed, setTyped] = useState('');
  const [reason, setReason] = useState('');
  const agent = agents?.find(({ name }) => name === chosen);
  const kill = useMutation({
    mutationFn: (name: string) => call('POST /agents/:name/kill', { params: { name }, body: { reason } }),
    onSuccess: () => {
      for (const key of ['agents', 'tasks', 'approvals', 'actions'])
        void queries.invalidateQueries({ queryKey: [key] });
    },
  });
  const obstacle = agent ? mayKill(session, agent) : null;
  const ready = chosen !== null && typed === chosen && obstacle === null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready) kill.mutate(chosen);
  };

  return (
    <Modal opened onClose={close} title={kill.data ? `${kill.data.agent} is killed` : 'Kill switch'} size="md">
      {kill.data ? (
        <KillReport result={kill.data} close={close} />
      ) : (
        <form onSubmit={submit} className={classes.form}>
          {given === undefined && (
            <Select
              label="Agent"
              placeholder="Which one?"
              data={agents?.map(({ name }) => name) ?? []}
              value={chosen}
              onChange={setChosen}
              searchable
              nothingFoundMessage="No agent is called that"
              data-autofocus
            />
          )}
          {agent && (
            <>
              <p className={classes.about}>
                <StandingBadge standing={standingOf(agent)} /> <EnvironmentBadge name={agent.manifest.environment} />{' '}
                {plural(agent.activeTasks, 'running task')}, {plural(agent.pendingApprovals, 'waiting approval')}
              </p>
              <ul className={classes.effects}>
                <li>Its calls in flight and open streams are cut, on every replica.</li>
                <li>Its tokens are refused and no new ones are issued; its tasks end.</li>
                <li>Its waiting approvals are cancelled.</li>
              </ul>
            </>
          )}
          {chosen !== null && (
            <TextInput
              label={
                <>
                  Type <code>{chosen}</code> to confirm
                </>
              }
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
              error={typed !== '' && !chosen.startsWith(typed) ? 'This is not its name' : undefined}
              autoComplete="off"
              spellCheck={false}
              classNames={{ input: 'gh-mono' }}
              data-autofocus={given !== undefined || undefined}
            />
          )}
          <Textarea
            label="Why (optional, goes into the record)"
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
            maxLength={500}
            autosize
            minRows={2}
          />
          {obstacle && <p className={classes.obstacle}>{obstacle}</p>}
          {kill.error && <Failure error={kill.error} />}
          <div className={classes.buttons}>
            <Button variant="default" size="sm" onClick={close}>
              Cancel
            </Button>
            <Button
              type="submit"
              size="sm"
              color="red.9"
              leftSection={<IconShieldX size={16} />}
              disabled={!ready}
              loading={kill.isPending}
            >
              Kill{chosen ? ' this agent' : ''}
            </Button>
          </div>
        </form>
      )}
    </Modal>
  );
}
