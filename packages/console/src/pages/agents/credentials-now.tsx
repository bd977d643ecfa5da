import type { AgentView, LiveCredential } from '@gatehouse/protocol';
import { IconShieldCheck } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { agentIdentityQuery } from '../../api/queries.ts';
import { commands } from '../../lib/commands.ts';
import { shortId, standingOf, standings } from '../../lib/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty, Section } from '../../ui/page.tsx';
import { Command, Identifier } from '../../ui/text.tsx';
import { TimeLeft, useNow, When } from '../../ui/when.tsx';

const kinds: Record<LiveCredential['kind'], string> = {
  'access-token': 'Access token',
  'x509-svid': 'X.509-SVID',
  'jwt-svid': 'JWT-SVID',
};

const columns: Column<LiveCredential>[] = [
  {
    header: 'Credential',
    cell: ({ kind, actionId }) => (
      <Link to="/actions/$id" params={{ id: actionId }} className="gh-link" title="The record of its issue">
        {kinds[kind]}
      </Link>
    ),
  },
  {
    header: 'Stands for',
    cell: ({ task }) =>
      task === null ? (
        'the agent itself'
      ) : (
        <Link to="/tasks/$id" params={{ id: task }} className="gh-link" title={task}>
          task {shortId(task)}
        </Link>
      ),
  },
  {
    header: 'Good at',
    cell: ({ audience }) => (
      <span className="gh-break">{audience.length === 0 ? 'whoever asks' : audience.join(', ')}</span>
    ),
  },
  {
    header: 'Bound to',
    cell: ({ boundTo }) =>
      boundTo === null ? (
        <Badge hue="orange" title="Whoever holds it can use it, until it runs out">
          nothing
        </Badge>
      ) : (
        <BoundTo words={boundTo} />
      ),
  },
  {
    header: 'Got by',
    cell: ({ via, client }) => (
      <span className="gh-break">
        {via}
        {client !== null && `, by the client ${client}`}
      </span>
    ),
    hide: 'medium',
  },
  { header: 'Issued', cell: ({ issuedAt }) => <When at={issuedAt} as="relative" /> },
  { header: 'Runs out', cell: ({ expiresAt }) => <TimeLeft until={expiresAt} /> },
];

function BoundTo({ words }: { words: string }) {
  const [kind = '', print] = words.split(' ');
  if (!print || words.includes(' and ') || kind === 'its') return words;
  return (
    <>
      {kind} <Identifier value={print} what="thumbprint" short />
    </>
  );
}

/** What the agent could act with at this moment. After a kill there is nothing. */
export function CredentialsNow({ agent }: { agent: AgentView }) {
  const now = useNow();
  const identity = useQuery({ ...agentIdentityQuery(agent.name), refetchInterval: 15_000 });
  const rows = identity.data?.credentials.filter(({ expiresAt }) => expiresAt > now);
  const standing = standingOf(agent);
  return (
    <Section title="Credentials live now" count={rows && `${rows.length}${identity.data?.more ? ' and more' : ''}`}>
      <DataTable
        label={`Live credentials of ${agent.name}`}
        rows={rows}
        rowKey={({ id }) => id}
        columns={columns}
        error={identity.error}
        retry={() => void identity.refetch()}
        empty={
          standing === 'active' ? (
            <Empty
              icon={IconShieldCheck}
              title="It holds nothing that works now"
              about="A credential is made when the agent asks for one, for one task. Connect an MCP client as this agent:"
            >
              <Command>{commands.connect(agent.name)}</Command>
            </Empty>
          ) : (
            <Empty
              icon={IconShieldCheck}
              title="Nothing that it holds works"
              about={`It is ${standings[standing].label.toLowerCase()}: whatever was issued before is refused everywhere, and nothing new is issued.`}
            />
          )
        }
      />
    </Section>
  );
}
