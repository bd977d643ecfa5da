import type { BaselineView, ToolBaseline } from '@gatehouse/protocol';
import { TextInput } from '@mantine/core';
import { IconChartBar } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { baselineQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { plural } from '../../lib/words.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { FormDialog } from '../../ui/dialog.tsx';
import { Card, Empty, Fact, Facts, Failure, Section } from '../../ui/page.tsx';
import { ToolName } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import classes from './baseline.module.css';

/** A tool whose unusual calls are to be accepted, or all that is known to be forgotten. */
type Change = { accept: string } | 'reset';

/** What the agent usually does: what differs is unusual. */
export function AgentBaseline({ agent }: { agent: string }) {
  const baseline = useQuery(baselineQuery(agent));
  const [change, setChange] = useState<Change | null>(null);
  const obstacle = needsRole(useSession(), ['admin', 'security'], 'Saying what is usual');
  const view = baseline.data;
  return (
    <Section
      title="What is usual"
      actions={
        view?.whole && (
          <AllowedButton obstacle={obstacle} onClick={() => setChange('reset')}>
            Learn anew…
          </AllowedButton>
        )
      }
    >
      {baseline.error && !view && <Failure error={baseline.error} retry={() => void baseline.refetch()} />}
      {view && (view.whole ? <Known view={view} whole={view.whole} /> : <Nothing />)}
      {view && view.tools.length > 0 && (
        <DataTable
          label={`What ${agent} usually does, by tool`}
          rows={view.tools}
          rowKey={({ tool }) => tool}
          columns={columnsFor((tool) => setChange({ accept: tool }), obstacle)}
          empty={null}
        />
      )}
      {change && <ChangeDialog agent={agent} change={change} close={() => setChange(null)} />}
    </Section>
  );
}

function Nothing() {
  return (
    <Card padded={false}>
      <Empty
        icon={IconChartBar}
        title="It has not called a tool yet"
        about="What it usually calls, when, how much and on what is learned from its calls. What differs later is marked, and waits where it could do harm."
      />
    </Card>
  );
}

function Known({ view, whole }: { view: BaselineView; whole: NonNullable<BaselineView['whole']> }) {
  const { needs } = view;
  return (
    <Card>
      <div className={classes.known}>
        <Facts>
          <Fact name="State">
            {view.state === 'known' ? (
              <>
                <Badge hue="green">Known</Badge> <span className="gh-quiet">what differs is unusual</span>
              </>
            ) : (
              <>
                <Badge hue="blue">Learning</Badge>{' '}
                <span className="gh-quiet">
                  {whole.days} of {needs.days} days, {Math.min(whole.calls, needs.calls)} of {needs.calls} calls;
                  nothing is unusual yet
                </span>
              </>
            )}
          </Fact>
          <Fact name="Calls">
            {plural(whole.calls, 'call')} on {plural(whole.days, 'day')}, the last <When at={whole.lastAt} as="both" />
          </Fact>
          <Fact name="In an hour">at most {whole.perHour.toLocaleString('en')}, as far as that is usual</Fact>
          <Fact name="On a day">
            {whole.perDay.usual.toLocaleString('en')}, at most {whole.perDay.most.toLocaleString('en')}
          </Fact>
          {view.rulesOff.length > 0 && <Fact name="Rules that are off">{view.rulesOff.join(', ')}</Fact>}
        </Facts>
        <Hours hours={whole.hours} zone={view.zone} />
      </div>
    </Card>
  );
}

function Hours({ hours, zone }: { hours: readonly number[]; zone: string }) {
  const most = Math.max(1, ...hours);
  const said = hours.flatMap((calls, hour) => (calls > 0 ? [`${clock(hour)}: ${plural(calls, 'call')}`] : []));
  return (
    <figure className={classes.hours}>
      <div className={classes.bars} role="img" aria-label={`Calls by hour (${zone}). ${said.join(', ')}`}>
        {hours.map((calls, hour) => (
          <i
            // biome-ignore lint/suspicious/noArrayIndexKey: the index is the hour
            key={hour}
            title={`${clock(hour)}: ${plural(calls, 'call')}`}
            data-empty={calls === 0 || undefined}
            style={{ height: `${Math.max(3, Math.round((calls / most) * 100))}%` }}
          />
        ))}
      </div>
      <figcaption>
        <span>00:00</span>
        <span>{zone}</span>
        <span>23:00</span>
      </figcaption>
    </figure>
  );
}

const clock = (hour: number) => `${String(hour).padStart(2, '0')}:00`;

function columnsFor(accept: (tool: string) => void, obstacle: string | null): Column<ToolBaseline>[] {
  return [
    { header: 'Tool', cell: ({ tool }) => <ToolName tool={tool} /> },
    { header: 'Calls', cell: ({ calls }) => calls.toLocaleString('en'), align: 'end' },
    { header: 'Days', cell: ({ days }) => days, align: 'end', hide: 'medium' },
    { header: 'In an hour', cell: ({ perHour }) => perHour.toLocaleString('en'), align: 'end' },
    { header: 'Amount', cell: ({ amount }) => amount?.toLocaleString('en') ?? '–', align: 'end', hide: 'medium' },
    { header: 'On', cell: ({ resources }) => onWhat(resources), hide: 'medium' },
    {
      header: 'Unusual',
      cell: ({ tool, unusual }) =>
        unusual ? (
          <span className={classes.unusual}>
            <Badge hue="violet" title={Object.keys(unusual.kinds).join(', ')}>
              {plural(unusual.calls, 'call')}
            </Badge>
            <AllowedButton size="compact-xs" obstacle={obstacle} onClick={() => accept(tool)}>
              Accept…
            </AllowedButton>
          </span>
        ) : (
          '–'
        ),
    },
  ];
}

const onWhat = ({ known, watched, overflow }: ToolBaseline['resources']) =>
  overflow ? 'many' : known === 0 ? '–' : watched ? `${known}, another one is unusual` : String(known);

function ChangeDialog({ agent, change, close }: { agent: string; change: Change; close: () => void }) {
  const [reason, setReason] = useState('');
  const params = { name: agent };
  const { form } = useChange(
    () =>
      change === 'reset'
        ? call('POST /agents/:name/baseline/reset', { params, body: { reason } })
        : call('POST /agents/:name/baseline/accept', { params, body: { tool: change.accept, reason } }),
    { refresh: ['baselines'], done: close },
  );
  return (
    <FormDialog
      title={change === 'reset' ? `Learn anew what is usual for ${agent}?` : `Is this usual for ${agent}?`}
      button={change === 'reset' ? 'Learn anew' : 'It is usual'}
      grave={change === 'reset'}
      ready={reason.trim() !== ''}
      close={close}
      {...form}
    >
      <p>
        {change === 'reset'
          ? 'All that is known is forgotten. Until enough has been learned again, nothing that it does counts as unusual.'
          : `The calls of ${change.accept} that were unusual teach what is usual: their hours, their number, their amounts and what they were on. Look at them in its actions first.`}
      </p>
      <TextInput
        label="Why"
        description="Goes into the record"
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        maxLength={500}
        autoComplete="off"
        data-autofocus
      />
    </FormDialog>
  );
}
