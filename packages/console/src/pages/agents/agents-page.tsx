import type { AgentView } from '@gatehouse/protocol';
import { Button, TextInput } from '@mantine/core';
import { IconRobot, IconSearch, IconShieldX } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { agentsQuery } from '../../api/queries.ts';
import { commands } from '../../lib/commands.ts';
import { standingOf, standings } from '../../lib/words.ts';
import { EnvironmentBadge, RiskBadge, StandingBadge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty, growing, Page, Toolbar } from '../../ui/page.tsx';
import { Command } from '../../ui/text.tsx';
import { KillDialog } from './kill-dialog.tsx';

export function AgentsPage() {
  const { filter = '' } = useSearch({ from: '/house/agents' });
  const navigate = useNavigate();
  const agents = useQuery(agentsQuery);
  const [killing, setKilling] = useState<string | null>(null);
  const rows = agents.data?.filter((agent) => fits(agent, filter)).sort(byUrgency);

  const columns: Column<AgentView>[] = [
    { header: 'Agent', cell: ({ name }) => name, width: '30%' },
    { header: 'State', cell: (agent) => <StandingBadge standing={standingOf(agent)} /> },
    { header: 'Environment', cell: ({ manifest }) => <EnvironmentBadge name={manifest.environment} /> },
    { header: 'Risk', cell: ({ manifest }) => <RiskBadge risk={manifest.risk} />, hide: 'medium' },
    { header: 'Owner', cell: ({ manifest }) => <span className="gh-quiet">{manifest.owner}</span>, hide: 'medium' },
    { header: 'Tasks', cell: ({ activeTasks }) => <Count of={activeTasks} />, align: 'end' },
    { header: 'Waiting', cell: ({ pendingApprovals }) => <Count of={pendingApprovals} amber />, align: 'end' },
    {
      header: '',
      align: 'end',
      cell: (agent) => (
        <Button
          size="compact-xs"
          variant="subtle"
          color="var(--gh-red-fg)"
          leftSection={<IconShieldX size={15} />}
          onClick={() => setKilling(agent.name)}
          aria-label={`Kill ${agent.name}`}
        >
          Kill
        </Button>
      ),
    },
  ];

  return (
    <Page
      title="Agents"
      about="Non-human principals: each has an owner, an environment, and credentials that live as long as one task."
    >
      <Toolbar>
        <TextInput
          className={growing}
          placeholder="Filter by name, state, environment, owner …"
          aria-label="Filter agents"
          leftSection={<IconSearch size={14} aria-hidden />}
          value={filter}
          onChange={(event) => {
            const text = event.currentTarget.value;
            void navigate({ to: '/agents', search: text === '' ? {} : { filter: text }, replace: true });
          }}
          data-filter
        />
      </Toolbar>
      <DataTable
        label="Agents"
        rows={rows}
        rowKey={({ name }) => name}
        link={({ name }) => ({ to: '/agents/$name', params: { name } })}
        columns={columns}
        error={agents.error}
        retry={() => void agents.refetch()}
        empty={
          agents.data?.length ? (
            <Empty icon={IconSearch} title="No agent fits this filter" about="Empty the field to see all of them." />
          ) : (
            <Empty icon={IconRobot} title="No agents yet" about="Agents are declared in files. Apply one:">
              <Command>{commands.apply()}</Command>
            </Empty>
          )
        }
      />
      {killing !== null && <KillDialog agent={killing} close={() => setKilling(null)} />}
    </Page>
  );
}

function Count({ of, amber = false }: { of: number; amber?: boolean }) {
  const color = of === 0 ? 'var(--gh-quiet)' : amber ? 'var(--gh-amber-fg)' : undefined;
  return (
    <span className="gh-numbers" style={{ color, fontWeight: of > 0 ? 600 : 400 }}>
      {of}
    </span>
  );
}

function fits(agent: AgentView, filter: string): boolean {
  const { environment, owner, purpose, risk, blueprint } = agent.manifest;
  const state = standings[standingOf(agent)].label;
  const all = [agent.name, state, environment, owner, purpose, `${risk} risk`, blueprint].join(' ').toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

/** What waits for a person first, then what runs. */
function byUrgency(a: AgentView, b: AgentView): number {
  return (
    Number(b.pendingApprovals > 0) - Number(a.pendingApprovals > 0) ||
    Number(b.activeTasks > 0) - Number(a.activeTasks > 0) ||
    a.name.localeCompare(b.name, 'en')
  );
}
