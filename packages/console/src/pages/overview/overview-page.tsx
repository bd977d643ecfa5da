import { Button, SegmentedControl, TextInput } from '@mantine/core';
import { IconActivity, IconPlayerPause, IconPlayerPlay, IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { useLive } from '../../api/live.ts';
import { agentsQuery, statusQuery } from '../../api/queries.ts';
import type { LiveAction } from '../../lib/activity.ts';
import { commands, isAtDefault } from '../../lib/commands.ts';
import { plural, standingOf } from '../../lib/words.ts';
import { DataTable } from '../../ui/data-table.tsx';
import { Empty, growing, Page, Section, Toolbar } from '../../ui/page.tsx';
import { Command } from '../../ui/text.tsx';
import { actionColumns } from '../actions/action-columns.tsx';
import { Attention } from './attention.tsx';
import { Health } from './health.tsx';
import { UnknownActions } from './unknown-actions.tsx';

const kinds = {
  all: () => true,
  waiting: ({ status }: LiveAction) => status === 'waiting',
  refused: ({ status }: LiveAction) => status === 'refused',
  failed: ({ status }: LiveAction) => status === 'failure' || status === 'anomalous' || status === 'unknown',
  calls: ({ status }: LiveAction) => status !== 'recorded',
  changes: ({ status }: LiveAction) => status === 'recorded',
} as const;
type Kind = keyof typeof kinds;

/** A tail, not an archive: the page Actions has all of it. */
const SHOWN = 50;

export function OverviewPage() {
  const status = useQuery(statusQuery).data;
  return (
    <Page
      title="Overview"
      about={
        status && (
          <>
            {plural(status.inFlight, 'call or stream', 'calls and streams')} in flight ·{' '}
            {status.database === 'sqlite' ? 'embedded database' : 'PostgreSQL'} · version {status.version}
          </>
        )
      }
    >
      <Health />
      <Attention />
      <UnknownActions />
      <LiveActivity />
    </Page>
  );
}

function LiveActivity() {
  const live = useLive();
  const [kind, setKind] = useState<Kind>('calls');
  const [text, setText] = useState('');
  /** What was on the screen when it was paused. */
  const [paused, setPaused] = useState<LiveAction[] | null>(null);
  const isFresh = useArrivals(live.actions);

  const known = new Set(paused?.map(({ actionId }) => actionId));
  const missed = paused ? (live.actions ?? []).filter(({ actionId }) => !known.has(actionId)).length : 0;
  const fitting = (paused ?? live.actions)?.filter(kinds[kind]).filter((action) => mentions(action, text));
  const rows = fitting?.slice(0, SHOWN);

  return (
    <Section
      title="Live activity"
      actions={
        <Button
          variant={paused ? 'light' : 'default'}
          leftSection={paused ? <IconPlayerPlay size={14} /> : <IconPlayerPause size={14} />}
          onClick={() => setPaused(paused ? null : (live.actions ?? []))}
          disabled={live.actions === null}
          aria-pressed={paused !== null}
          data-key="p"
        >
          {paused ? `Resume${missed > 0 ? ` (${missed} new)` : ''}` : 'Pause'}
        </Button>
      }
    >
      <Toolbar>
        <TextInput
          className={growing}
          placeholder="Filter by agent, tool, resource …"
          aria-label="Filter live activity"
          leftSection={<IconSearch size={14} aria-hidden />}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          data-filter
        />
        <SegmentedControl
          aria-label="Which actions"
          value={kind}
          onChange={(value) => setKind(value as Kind)}
          data={[
            { value: 'calls', label: 'Calls' },
            { value: 'waiting', label: 'Waiting' },
            { value: 'refused', label: 'Refused' },
            { value: 'failed', label: 'Failed' },
            { value: 'changes', label: 'Changes' },
            { value: 'all', label: 'All' },
          ]}
        />
      </Toolbar>
      <DataTable
        label="Live activity"
        rows={rows}
        rowKey={({ actionId }) => actionId}
        link={({ actionId }) => ({ to: '/actions/$id', params: { id: actionId } })}
        columns={actionColumns({ agent: true })}
        isFresh={({ actionId }) => isFresh(actionId)}
        empty={
          text === '' && !live.actions?.some(kinds.calls) && (kind === 'calls' || kind === 'all') ? (
            <FirstSteps />
          ) : (
            <Empty icon={IconSearch} title="Nothing fits this filter" about="Choose All, or empty the field." />
          )
        }
      />
      <p className="gh-quiet" style={{ fontSize: 13 }}>
        The newest {SHOWN} at most.{' '}
        <Link to="/actions" className="gh-link">
          Search all actions
        </Link>
      </p>
    </Section>
  );
}

function FirstSteps() {
  const url = useQuery(statusQuery).data?.mcpUrl;
  const agent = useQuery(agentsQuery).data?.find((each) => standingOf(each) === 'active' && !each.manifest.bearerOnly);
  return (
    <Empty
      icon={IconActivity}
      title="Nothing has happened yet"
      about={
        <>
          Every call of every agent shows here the moment it is recorded. Connect a client
          {url && (
            <>
              {' '}
              to <code>{url}</code>
            </>
          )}{' '}
          as one of your agents{isAtDefault() && ', or see the whole story in a workspace of its own'}:
        </>
      }
    >
      <div style={{ display: 'grid', gap: 8 }}>
        {agent?.manifest.keys.length === 0 && <Command>{commands.enrol(agent.name)}</Command>}
        <Command>{commands.connect(agent?.name ?? 'AGENT')}</Command>
        {isAtDefault() && <Command>{commands.demo}</Command>}
      </div>
    </Empty>
  );
}

function mentions({ agent, tool, resource, operation, detail, actionId, task }: LiveAction, text: string): boolean {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const all = [agent, tool, resource, operation, detail, actionId, task].join(' ').toLowerCase();
  return words.every((word) => all.includes(word));
}

/** Rows that came while the page was open are lit for a moment; what was there at first is not. */
function useArrivals(actions: LiveAction[] | null): (actionId: string) => boolean {
  const before = useRef<Set<string> | null>(null);
  const fresh = useRef(new Set<string>());
  if (actions && before.current) {
    for (const { actionId } of actions) if (!before.current.has(actionId)) fresh.current.add(actionId);
  }
  useEffect(() => {
    if (actions) before.current = new Set(actions.map(({ actionId }) => actionId));
  }, [actions]);
  return (actionId) => fresh.current.has(actionId);
}
