import type { AgentView, HandedOut } from '@gatehouse/protocol';
import { IconKey } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { agentIdentityQuery } from '../../api/queries.ts';
import { shortId } from '../../lib/words.ts';
import { TierBadge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Card, Empty, Section } from '../../ui/page.tsx';
import { TimeLeft } from '../../ui/when.tsx';
import { Scope } from '../credentials/scope.tsx';

const columns: Column<HandedOut>[] = [
  {
    header: 'Credential',
    cell: ({ id, provider }) => (
      <Link to="/leases/$id" params={{ id }} className="gh-link">
        {provider}
      </Link>
    ),
  },
  {
    header: 'Task',
    cell: ({ task }) => (
      <Link to="/tasks/$id" params={{ id: task }} className="gh-link" title={task}>
        {shortId(task)}
      </Link>
    ),
  },
  { header: 'May', cell: ({ scope }) => <Scope scope={scope as Record<string, unknown>} /> },
  { header: 'State', cell: ({ state }) => state },
  { header: 'Works for', cell: ({ expiresAt, worksUntil }) => <TimeLeft until={worksUntil ?? expiresAt} /> },
];

/** Credentials of other systems that the agent holds itself, and those that it may ask for. Nothing is shown of an agent that has neither. */
export function HandedOutToAgent({ agent }: { agent: AgentView }) {
  const identity = useQuery({ ...agentIdentityQuery(agent.name), refetchInterval: 15_000 });
  const { handedOut = [], mayBeHanded = [] } = identity.data ?? {};
  if (mayBeHanded.length === 0 && !handedOut?.length) return null;
  return (
    <Section title="Credentials handed to it" count={handedOut?.length}>
      {handedOut && (
        <DataTable
          label={`Credentials handed to ${agent.name}`}
          rows={handedOut}
          rowKey={({ id }) => id}
          columns={columns}
          empty={<Empty icon={IconKey} title="None is out" about="What is done with one is on no record here." />}
        />
      )}
      {mayBeHanded.length > 0 && (
        <Card>
          <ul>
            {mayBeHanded.map(({ provider, template, tier, maxSeconds }) => (
              <li key={`${template} ${provider}`}>
                Tasks of {template} may ask for one of {provider}, for {maxSeconds} s at most <TierBadge tier={tier} />
              </li>
            ))}
          </ul>
        </Card>
      )}
    </Section>
  );
}
