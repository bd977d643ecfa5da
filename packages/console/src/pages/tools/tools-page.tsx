import type { DefinitionView, ServerView, ToolView } from '@gatehouse/protocol';
import { Button, Skeleton, TextInput } from '@mantine/core';
import { IconRefresh, IconSearch, IconTool } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { call } from '../../api/client.ts';
import { explain } from '../../api/problem.ts';
import { definitionsQuery, serversQuery, toolsQuery } from '../../api/queries.ts';
import { useWaitingDefinitions } from '../../api/waiting.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { commands } from '../../lib/commands.ts';
import { keyOf, kindLabel, notGranted } from '../../lib/definitions.ts';
import { plural } from '../../lib/words.ts';
import { EffectBadges, EnvironmentBadge, TierBadge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { notify } from '../../ui/notices.tsx';
import { Card, Empty, Failure, growing, Page, Section, Toolbar } from '../../ui/page.tsx';
import { Command, PlainText, ToolName } from '../../ui/text.tsx';
import { DefinitionState } from './definition-state.tsx';
import { ReviewCard } from './review-card.tsx';
import { ServerAuthorization } from './server-authorization.tsx';
import classes from './tools.module.css';

export function ToolsPage() {
  const { filter = '' } = useSearch({ from: '/house/tools' });
  const navigate = useNavigate();
  const servers = useQuery(serversQuery);
  const tools = useQuery(toolsQuery);
  const definitions = useQuery(definitionsQuery);
  const waiting = useWaitingDefinitions() ?? [];
  const error = servers.error ?? tools.error ?? definitions.error;
  const fits = ({ ref, description, effects, tier }: ToolView) => {
    const all = [ref, description, ...effects, `tier ${tier}`].join(' ').toLowerCase();
    return filter
      .toLowerCase()
      .split(/\s+/)
      .every((word) => all.includes(word));
  };
  const retry = () => {
    for (const query of [servers, tools, definitions]) void query.refetch();
  };

  return (
    <Page
      title="Tools"
      about="Only registered tools exist, and agents see them as approved. A changed definition waits here for review."
    >
      {error && !servers.data && <Failure error={error} retry={retry} />}
      {waiting.length > 0 && (
        <Section title="Held back, waiting for review" count={waiting.length}>
          <div className={classes.stack}>
            {waiting.map((definition) => (
              <ReviewCard key={keyOf(definition)} definition={definition} />
            ))}
          </div>
        </Section>
      )}
      {servers.data?.items.length !== 0 && (
        <div className={waiting.length > 0 ? classes.filter : ''}>
          <Toolbar>
            <TextInput
              className={growing}
              placeholder="Filter by tool, effect, tier …"
              aria-label="Filter tools"
              leftSection={<IconSearch size={14} aria-hidden />}
              value={filter}
              onChange={(event) => {
                const text = event.currentTarget.value;
                void navigate({ to: '/tools', search: text === '' ? {} : { filter: text }, replace: true });
              }}
              data-filter
            />
          </Toolbar>
        </div>
      )}
      {servers.data === undefined && !error && <Skeleton height={320} radius="md" />}
      {servers.data?.items.length === 0 && (
        <Card padded={false}>
          <Empty
            icon={IconTool}
            title="No tool server is registered"
            about="Servers are declared in files, with a tier for each of their tools. Apply one:"
          >
            <Command>{commands.apply()}</Command>
          </Empty>
        </Card>
      )}
      {servers.data?.items.map((server) => {
        const own = tools.data?.items.filter((tool) => tool.server === server.name);
        const shown = own?.filter(fits);
        // A filter hides the servers that have nothing of it.
        if (filter !== '' && shown?.length === 0) return null;
        const strangers = definitions.data ? notGranted(definitions.data.items, server) : [];
        return <Server key={server.name} server={server} tools={shown} strangers={strangers} />;
      })}
    </Page>
  );
}

const columns: Column<ToolView>[] = [
  { header: 'Tool', cell: ({ name }) => <ToolName tool={name} />, width: '22%' },
  { header: 'Tier', cell: ({ tier }) => <TierBadge tier={tier} /> },
  { header: 'Effects', cell: ({ effects }) => <EffectBadges effects={effects} /> },
  { header: 'Definition', cell: ({ state }) => <DefinitionState state={state} /> },
  {
    header: 'Description, as approved',
    cell: ({ description }) => description && <span className={classes.description}>{description}</span>,
    hide: 'medium',
    width: '40%',
  },
];

interface ServerProps {
  server: ServerView;
  tools: ToolView[] | undefined;
  /** What it serves beyond its manifest. */
  strangers: DefinitionView[];
}

function Server({ server, tools, strangers }: ServerProps) {
  const { name, manifest } = server;
  const unnamed = new Set(strangers.filter(({ kind }) => kind === 'tool').map((each) => each.name));
  return (
    <Section
      title={<span className="gh-mono">{name}</span>}
      count={plural(server.tools, 'tool')}
      actions={
        <>
          {manifest.environments.map((environment) => (
            <EnvironmentBadge key={environment} name={environment} />
          ))}
          <Refresh server={name} />
        </>
      }
    >
      <p className={classes.about}>
        {manifest.description && <>{manifest.description} </>}
        <code>
          {manifest.transport.type === 'http'
            ? manifest.transport.url
            : [manifest.transport.command, ...manifest.transport.args].join(' ')}
        </code>
        {manifest.transport.type === 'http' && manifest.transport.txnToken && (
          <> Each call tells it for whom it is, with a transaction token.</>
        )}
      </p>
      <ServerAuthorization server={server} />
      <DataTable
        label={`Tools of ${name}`}
        rows={tools?.filter((tool) => !unnamed.has(tool.name))}
        rowKey={({ ref }) => ref}
        link={(tool) => ({ to: '/tools/$server', params: { server: name }, search: { kind: 'tool', name: tool.name } })}
        columns={columns}
        empty={
          <Empty
            icon={IconTool}
            title="Nothing is known of its tools yet"
            about="Ask the server what it serves. If it can’t be reached, the message says why."
          />
        }
      />
      {strangers.length > 0 && <Strangers strangers={strangers} />}
    </Section>
  );
}

/** Served, but not granted by the manifest: no agent sees it, and no review can let it in. */
function Strangers({ strangers }: { strangers: DefinitionView[] }) {
  return (
    <details className={classes.strangers}>
      <summary>
        It also serves {plural(strangers.length, 'thing')} that its manifest does not grant; no agent sees{' '}
        {strangers.length === 1 ? 'it' : 'them'}
      </summary>
      <ul>
        {strangers.map((each) => (
          <li key={keyOf(each)}>
            {kindLabel(each.kind)}{' '}
            <Link
              to="/tools/$server"
              params={{ server: each.server }}
              search={{ kind: each.kind, name: each.name }}
              className="gh-link gh-mono"
            >
              <PlainText text={each.name} />
            </Link>
          </li>
        ))}
      </ul>
      <p>To let a tool in, give it a tier in the manifest of the server, and apply it:</p>
      <Command>{commands.apply()}</Command>
    </details>
  );
}

function Refresh({ server }: { server: string }) {
  const session = useSession();
  const queries = useQueryClient();
  const obstacle = needsRole(session, ['admin', 'security', 'developer'], 'Asking a server');
  const refresh = useMutation({
    mutationFn: () => call('POST /servers/:name/refresh', { params: { name: server } }),
    onSuccess: ({ held }) => {
      for (const key of ['servers', 'tools', 'definitions']) void queries.invalidateQueries({ queryKey: [key] });
      notify({
        message:
          held.length > 0
            ? `${server} serves ${plural(held.length, 'definition')} that nobody has approved: held back.`
            : `${server} serves what was approved.`,
      });
    },
    onError: (error) => notify({ color: 'red', title: explain(error).title, message: explain(error).detail }),
  });
  return (
    <Button
      variant="default"
      leftSection={<IconRefresh size={14} />}
      loading={refresh.isPending}
      disabled={obstacle !== null}
      title={obstacle ?? `Ask ${server} what it serves now`}
      onClick={() => refresh.mutate()}
    >
      Ask again
    </Button>
  );
}
