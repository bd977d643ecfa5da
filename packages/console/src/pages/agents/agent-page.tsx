import type { AgentView, Lifecycle } from '@gatehouse/protocol';
import { Button, Menu } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconChevronDown, IconPlayerPause, IconPlayerPlay, IconShieldX } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { call } from '../../api/client.ts';
import { explain } from '../../api/problem.ts';
import { agentQuery, pendingApprovalsQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { standingOf } from '../../lib/words.ts';
import { Badge, EnvironmentBadge, RiskBadge, StandingBadge } from '../../ui/badge.tsx';
import { Card, Fact, Facts, Failure, Page, Section } from '../../ui/page.tsx';
import { Identifier, PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { ApprovalCard } from '../approvals/approval-card.tsx';
import classes from './agent.module.css';
import { AgentActions } from './agent-actions.tsx';
import { AgentKeys } from './agent-keys.tsx';
import { AgentTasks } from './agent-tasks.tsx';
import { KillDialog } from './kill-dialog.tsx';

export function AgentPage() {
  const { name } = useParams({ from: '/house/agents/$name' });
  const agent = useQuery(agentQuery(name));
  const [killing, setKilling] = useState(false);
  const crumb = (
    <Link to="/agents" className="gh-link">
      Agents
    </Link>
  );
  if (!agent.data) {
    return (
      <Page title={name} crumb={crumb}>
        {agent.error && <Failure error={agent.error} retry={() => void agent.refetch()} />}
      </Page>
    );
  }
  const { manifest } = agent.data;
  return (
    <Page
      title={name}
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
      <Waiting agent={name} />
      <div className={classes.columns}>
        <Section title="Identity">
          <Card>
            <AgentFacts agent={agent.data} />
          </Card>
        </Section>
        <Section title="Keys" count={manifest.keys.length}>
          <AgentKeys agent={agent.data} />
        </Section>
      </div>
      <AgentTasks agent={name} />
      <AgentActions agent={name} />
      {killing && <KillDialog agent={name} close={() => setKilling(false)} />}
    </Page>
  );
}

function AgentFacts({ agent }: { agent: AgentView }) {
  const { manifest, spiffeId, killedAt, epoch } = agent;
  return (
    <Facts>
      <Fact name="SPIFFE ID">
        <Identifier value={spiffeId} what="SPIFFE ID" />
      </Fact>
      <Fact name="Owner">{manifest.owner}</Fact>
      <Fact name="Blueprint">{manifest.blueprint}</Fact>
      {manifest.description && (
        <Fact name="Description">
          <PlainText text={manifest.description} />
        </Fact>
      )}
      <Fact name="Tokens">
        {manifest.bearerOnly ? (
          <Badge hue="orange" title="Whoever holds a token can use it, until it runs out">
            bearer only: not bound to a key
          </Badge>
        ) : (
          'bound to the agent’s key (DPoP)'
        )}
      </Fact>
      {killedAt !== null && (
        <Fact name="Killed">
          <When at={killedAt} as="both" />
        </Fact>
      )}
      <Fact name="Epoch">
        <span
          className="gh-numbers"
          title="Grows when the agent is killed or changes its state; older tokens are refused"
        >
          {epoch}
        </span>
      </Fact>
    </Facts>
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
      notifications.show({ message: `${after.name} is ${after.state} now.` });
    },
    onError: (error) =>
      notifications.show({ color: 'red', title: explain(error).title, message: explain(error).detail }),
  });
  const [move] = moves[agent.state];
  const obstacle = needsRole(session, ['admin', 'security'], 'This');
  if (!move) return null;
  const icon = move.to === 'active' ? <IconPlayerPlay size={15} /> : <IconPlayerPause size={15} />;
  return (
    <Menu position="bottom-end" width={260}>
      <Menu.Target>
        <Button
          size="sm"
          variant="default"
          rightSection={<IconChevronDown size={14} />}
          loading={change.isPending}
          disabled={obstacle !== null}
          title={obstacle ?? undefined}
        >
          {move.label}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {move.to === 'active'
            ? 'It can start tasks and get tokens again; what was ended stays ended.'
            : 'It can start no task and every call is refused, until it is reactivated.'}
        </Menu.Label>
        <Menu.Item leftSection={icon} onClick={() => change.mutate(move.to)}>
          {move.label} {agent.name}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

/** What waits for a person comes first on the agent's page, too. */
function Waiting({ agent }: { agent: string }) {
  const pending = useQuery(pendingApprovalsQuery).data?.filter((approval) => approval.agent === agent);
  if (!pending?.length) return null;
  return (
    <Section title="Waiting for approval" count={pending.length}>
      <div className={classes.stack}>
        {pending.map((approval) => (
          <ApprovalCard key={approval.id} approval={approval} />
        ))}
      </div>
    </Section>
  );
}
