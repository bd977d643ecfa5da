import type { SinkDetail } from '@gatehouse/protocol';
import { IconCheck, IconPlayerPause, IconPlayerPlay } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { call } from '../../api/client.ts';
import { explain } from '../../api/problem.ts';
import { sinkQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { notify } from '../../ui/notices.tsx';
import { Card, Empty, Fact, Facts, Failure, Page, Section } from '../../ui/page.tsx';
import { TestButton } from '../../ui/test-button.tsx';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { SinkHealth, waitingOf } from './sinks-page.tsx';

export function SinkPage() {
  const { name } = useParams({ from: '/house/sinks/$name' });
  const sink = useQuery(sinkQuery(name));
  return (
    <Page
      title={name}
      crumb={
        <Link to="/sinks" className="gh-link">
          Sinks
        </Link>
      }
      about={sink.data?.description ?? undefined}
      actions={
        <>
          {sink.data && <PauseButton sink={sink.data} />}
          <TestButton name={name} what="a sink" refresh="sinks" send={() => tryIt(name)} />
        </>
      }
    >
      {sink.error && <Failure error={sink.error} retry={() => void sink.refetch()} />}
      {sink.data && <State sink={sink.data} />}
      <Section title="Positions">
        <DataTable
          label="Positions"
          rows={sink.data?.positions}
          rowKey={({ log }) => log}
          columns={positions}
          error={null}
          empty={<Empty icon={IconCheck} title="No log yet" />}
        />
      </Section>
      <Section title="Set aside">
        <DataTable
          label="Set aside"
          rows={sink.data?.quarantine}
          rowKey={({ log, sequence }) => `${log}/${sequence}`}
          columns={aside}
          error={null}
          empty={
            <Empty
              icon={IconCheck}
              title="It has refused no record"
              about="A record that it refuses for good is kept here, and keeps back no other."
            />
          }
        />
      </Section>
    </Page>
  );
}

function State({ sink }: { sink: SinkDetail }) {
  return (
    <Card>
      <Facts>
        <Fact name="Health">
          <SinkHealth sink={sink} />
        </Fact>
        <Fact name="To">{`${sink.type} ${sink.destination}`}</Fact>
        <Fact name="Format">{sink.format}</Fact>
        <Fact name="Waiting">{waitingOf(sink)}</Fact>
        <Fact name="Delivered by">{sink.replica ?? 'nobody now'}</Fact>
        {sink.lastDeliveredAt !== null && (
          <Fact name="Last delivery">
            <When at={sink.lastDeliveredAt} />
          </Fact>
        )}
        {sink.problem !== null && (
          <Fact name="Problem">
            <PlainText text={sink.problem} />
          </Fact>
        )}
        {sink.failingSince !== null && (
          <Fact name="Since">
            <When at={sink.failingSince} />
          </Fact>
        )}
        {sink.nextTryAt !== null && (
          <Fact name="Tried again">
            <When at={sink.nextTryAt} />
          </Fact>
        )}
        {sink.paused && (
          <Fact name="Paused">
            <When at={sink.paused.at} /> by {sink.paused.by}
          </Fact>
        )}
        {sink.letGoAt !== null && (
          <Fact name="Retention">
            does not wait for what was recorded before <When at={sink.letGoAt} as="both" />
          </Fact>
        )}
      </Facts>
    </Card>
  );
}

async function tryIt(name: string) {
  const { ok, tookMs, problem: why } = await call('POST /sinks/:name/test', { params: { name } });
  return { ok, tookMs, why };
}

function PauseButton({ sink: { name, paused } }: { sink: SinkDetail }) {
  const queries = useQueryClient();
  const obstacle = needsRole(useSession(), ['admin', 'security'], 'Pausing a sink');
  const change = useMutation({
    mutationFn: () => call(paused ? 'POST /sinks/:name/resume' : 'POST /sinks/:name/pause', { params: { name } }),
    onSettled: () => queries.invalidateQueries({ queryKey: ['sinks'] }),
    onError: (error) => notify({ color: 'red', title: name, message: explain(error).detail }),
  });
  return (
    <AllowedButton
      variant="default"
      leftSection={paused ? <IconPlayerPlay size={14} /> : <IconPlayerPause size={14} />}
      obstacle={obstacle}
      disabled={change.isPending}
      onClick={() => change.mutate()}
    >
      {paused ? 'Resume' : 'Pause'}
    </AllowedButton>
  );
}

const positions: Column<SinkDetail['positions'][number]>[] = [
  { header: 'Log', cell: ({ log }) => <span className="gh-mono">{log}</span> },
  { header: 'Next record', cell: ({ sequence }) => <span className="gh-numbers">{sequence}</span>, align: 'end' },
  { header: 'Of', cell: ({ size }) => <span className="gh-numbers">{size}</span>, align: 'end' },
];

const aside: Column<SinkDetail['quarantine'][number]>[] = [
  { header: 'Record', cell: ({ log, sequence }) => <span className="gh-mono">{`${log}/${sequence}`}</span> },
  { header: 'Why', cell: ({ reason }) => <PlainText text={reason} />, width: '50%' },
  { header: 'When', cell: ({ at }) => <When at={at} />, align: 'end' },
];
