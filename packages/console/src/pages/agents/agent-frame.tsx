import type { AgentView, Lifecycle } from '@gatehouse/protocol';
import { Button } from '@mantine/core';
import { IconChevronDown, IconPlayerPause, IconPlayerPlay, IconShieldX } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { call } from '../../api/client.ts';
import { explain } from '../../api/problem.ts';
import { agentQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { standingOf } from '../../lib/words.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { EnvironmentBadge, RiskBadge, StandingBadge } from '../../ui/badge.tsx';
import { Menu, MenuItem } from '../../ui/menu.tsx';
import { notify } from '../../ui/notices.tsx';
import { Failure, Page } from '../../ui/page.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import { KillDialog } from './kill-dialog.tsx';

interface AgentFrameProps {
  name: string;
  /** Of the browser's tab, where it is not the name alone. */
  title?: string;
  children: (agent: AgentView) => ReactNode;
}

/** What every page of an agent has: how it stands, its switch, and its other pages. */
export function AgentFrame({ name, title = name, children }: AgentFrameProps) {
  const agent = useQuery(agentQuery(name));
  const [killing, setKilling] = useState(false);
  const crumb = (
    <Link to="/agents" className="gh-link">
      Agents
    </Link>
  );
  if (!agent.data) {
    return (
      <Page title={title} heading={name} crumb={crumb}>
        {agent.error && <Failure error={agent.error} retry={() => void agent.refetch()} />}
      </Page>
    );
  }
  const { manifest } = agent.data;
  return (
    <Page
      title={title}
      crumb={crumb}
      heading={
        <>
          {name} <StandingBadge standing={standingOf(agent.data)} /> <EnvironmentBadge name={manifest.environment} />{' '}
          <RiskBadge risk={manifest.risk} />
        </>
      }
      about={manifest.purpose}
      actions={
        <>
          <StateMenu agent={agent.data} />
          <Button size="sm" color="red.9" leftSection={<IconShieldX size={16} />} onClick={() => setKilling(true)}>
            Kill
          </Button>
        </>
      }
    >
      <Tabs
        label={`Pages of ${name}`}
        tabs={[
          { to: '/agents/$name', params: { name }, label: 'Activity', exact: true },
          { to: '/agents/$name/identity', params: { name }, label: 'Identity' },
        ]}
      />
      {children(agent.data)}
      {killing && <KillDialog agent={name} close={() => setKilling(false)} />}
    </Page>
  );
}

const moves: Record<Lifecycle, { to: Lifecycle; label: string }[]> = {
  draft: [{ to: 'active', label: 'Activate' }],
  active: [{ to: 'suspended', label: 'Suspend' }],
  suspended: [{ to: 'active', label: 'Reactivate' }],
  retired: [],
};

function StateMenu({ agent }: { agent: AgentView }) {
  const session = useSession();
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: (state: Lifecycle) =>
      call('POST /agents/:name/state', { params: { name: agent.name }, body: { state } }),
    onSuccess: (after) => {
      queries.setQueryData(['agents', after.name], after);
      void queries.invalidateQueries({ queryKey: ['agents'] });
      notify({ message: `${after.name} is ${after.state} now.` });
    },
    onError: (error) => notify({ color: 'red', title: explain(error).title, message: explain(error).detail }),
  });
  const [move] = moves[agent.state];
  const obstacle = needsRole(session, ['admin', 'security'], 'This');
  if (!move) return null;
  const icon = move.to === 'active' ? <IconPlayerPlay size={15} /> : <IconPlayerPause size={15} />;
  return (
    <Menu
      about={
        move.to === 'active'
          ? 'It can start tasks and get tokens again; what was ended stays ended.'
          : 'It can start no task and every call is refused, until it is reactivated.'
      }
      target={(properties) => (
        <AllowedButton
          size="sm"
          rightSection={<IconChevronDown size={14} />}
          loading={change.isPending}
          obstacle={obstacle}
          {...properties}
        >
          {move.label}
        </AllowedButton>
      )}
    >
      <MenuItem icon={icon} onClick={() => change.mutate(move.to)}>
        {move.label} {agent.name}
      </MenuItem>
    </Menu>
  );
}
