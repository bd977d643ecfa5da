import type { Lifecycle, WorkloadView } from '@gatehouse/protocol';
import { IconServer2 } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { workloadsQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { commands } from '../../lib/commands.ts';
import { standingOf } from '../../lib/words.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { EnvironmentBadge, StandingBadge } from '../../ui/badge.tsx';
import { DataTable } from '../../ui/data-table.tsx';
import { Confirm, FormDialog } from '../../ui/dialog.tsx';
import { Empty } from '../../ui/page.tsx';
import { Command, Identifier } from '../../ui/text.tsx';
import classes from './identity.module.css';
import { IdentityPage } from './identity-page.tsx';

type Move = 'suspend' | 'activate' | 'kill';

export function WorkloadsPage() {
  const session = useSession();
  const workloads = useQuery(workloadsQuery);
  const [doing, setDoing] = useState<{ move: Move; workload: WorkloadView } | null>(null);
  const obstacle = needsRole(session, ['admin', 'security'], 'This');
  return (
    <IdentityPage
      title="Workloads"
      about="Services that are not agents: they hold no secret here, prove themselves by a trust rule, and may start tasks of the agents they name."
    >
      <DataTable
        label="Workloads"
        rows={workloads.data?.items}
        rowKey={({ name }) => name}
        columns={[
          { header: 'Workload', cell: ({ name }) => name },
          { header: 'State', cell: (workload) => <StandingBadge standing={standingOf(workload)} /> },
          { header: 'Environment', cell: ({ manifest }) => <EnvironmentBadge name={manifest.environment} /> },
          {
            header: 'SPIFFE ID',
            cell: ({ spiffeId }) => <Identifier value={spiffeId} what="SPIFFE ID" />,
            hide: 'medium',
          },
          {
            header: 'Starts tasks of',
            cell: ({ manifest }) =>
              manifest.starts.length === 0 ? <span className="gh-quiet">nobody</span> : manifest.starts.join(', '),
          },
          {
            header: 'Owner',
            cell: ({ manifest }) => <span className="gh-break">{manifest.owner}</span>,
            hide: 'medium',
          },
          {
            header: '',
            align: 'end',
            cell: (workload) => (
              <span className={classes.badges}>
                {workload.state !== 'retired' && (
                  <AllowedButton
                    obstacle={obstacle}
                    onClick={() => setDoing({ move: workload.state === 'active' ? 'suspend' : 'activate', workload })}
                    aria-label={`${workload.state === 'active' ? 'Suspend' : 'Activate'} ${workload.name}`}
                  >
                    {workload.state === 'active' ? 'Suspend' : 'Activate'}
                  </AllowedButton>
                )}
                {workload.state === 'active' && (
                  <AllowedButton
                    variant="outline"
                    color="var(--gh-red-fg)"
                    obstacle={obstacle}
                    onClick={() => setDoing({ move: 'kill', workload })}
                    aria-label={`Kill ${workload.name}`}
                  >
                    Kill
                  </AllowedButton>
                )}
              </span>
            ),
          },
        ]}
        error={workloads.error}
        retry={() => void workloads.refetch()}
        empty={
          <Empty
            icon={IconServer2}
            title="No workload is declared"
            about="Declare a Workload for a service that starts agents’ tasks, and a trust rule that says how it proves itself:"
          >
            <Command>{commands.apply()}</Command>
          </Empty>
        }
      />
      {doing && <Change {...doing} close={() => setDoing(null)} />}
    </IdentityPage>
  );
}

function Change({ move, workload: { name }, close }: { move: Move; workload: WorkloadView; close: () => void }) {
  const params = { name };
  const { form } = useChange<unknown>(
    () => {
      if (move === 'kill') return call('POST /workloads/:name/kill', { params, body: {} });
      const state: Lifecycle = move === 'suspend' ? 'suspended' : 'active';
      return call('POST /workloads/:name/state', { params, body: { state } });
    },
    { refresh: ['workloads', 'tasks'], done: close },
  );
  const rest = { ...form, close };
  if (move === 'kill')
    return (
      <Confirm title={`Kill ${name}`} button="Kill it" word={name} {...rest}>
        <p>It is refused at once, on every replica, and the tasks that it has vouched for end.</p>
      </Confirm>
    );
  return (
    <FormDialog
      title={move === 'suspend' ? `Suspend ${name}?` : `Activate ${name}?`}
      button={move === 'suspend' ? 'Suspend' : 'Activate'}
      {...rest}
    >
      <p>
        {move === 'suspend'
          ? 'It is refused until it is activated again.'
          : 'It may prove itself and start tasks again; what was ended stays ended.'}
      </p>
    </FormDialog>
  );
}
