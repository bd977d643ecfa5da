import type { Task } from '@gatehouse/protocol';
import { IconListSearch } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { actionsQuery, taskQuery } from '../../api/queries.ts';
import { actorName } from '../../lib/words.ts';
import { Declared, EnvironmentBadge, TaskBadge } from '../../ui/badge.tsx';
import { DataTable } from '../../ui/data-table.tsx';
import { Card, Empty, Fact, Facts, Failure, Page, Section } from '../../ui/page.tsx';
import { Arguments, Identifier, PlainText } from '../../ui/text.tsx';
import { TimeLeft, useNow, When } from '../../ui/when.tsx';
import { actionColumns } from '../actions/action-columns.tsx';
import columns from '../agents/agent.module.css';
import { LeasesOfTask } from '../credentials/leases-of.tsx';
import { TaskControls } from './task-controls.tsx';
import { TaskFlowSections } from './task-flow.tsx';
import { TaskGrants } from './task-grants.tsx';
import { TaskTimeline } from './task-timeline.tsx';

export function TaskPage() {
  const { id } = useParams({ from: '/house/tasks/$id' });
  const now = useNow();
  const task = useQuery(taskQuery(id));
  const crumb = (
    <Link to="/tasks" className="gh-link">
      Tasks
    </Link>
  );
  if (!task.data) {
    return (
      <Page title="Task" crumb={crumb}>
        {task.error && <Failure error={task.error} retry={() => void task.refetch()} />}
      </Page>
    );
  }
  return (
    <Page
      title={`Task under ${task.data.template}`}
      crumb={crumb}
      heading={
        <>
          <span>
            {task.data.template} · {task.data.agent}
          </span>
          <TaskBadge task={task.data} now={now} /> <EnvironmentBadge name={task.data.environment} />
        </>
      }
      actions={<TaskControls task={task.data} now={now} />}
    >
      <div className={columns.columns}>
        <Section title="Task">
          <Card>
            <TaskFacts task={task.data} now={now} />
          </Card>
        </Section>
        <Section title="What the agent says" actions={<Declared />}>
          <Card>
            <DeclaredFacts task={task.data} />
          </Card>
        </Section>
      </div>
      <LeasesOfTask task={id} />
      <TaskGrants id={id} />
      <TaskFlowSections id={id} />
      <TaskTimeline id={id} />
      <TaskActions id={id} />
    </Page>
  );
}

function TaskFacts({ task, now }: { task: Task; now: number }) {
  return (
    <Facts>
      <Fact name="Id">
        <Identifier value={task.id} what="id" />
      </Fact>
      <Fact name="Agent">
        <Link to="/agents/$name" params={{ name: task.agent }} className="gh-link">
          {task.agent}
        </Link>
      </Fact>
      <Fact name="Template">
        <code>{task.template}</code>
      </Fact>
      <Fact name="Started">
        <When at={task.startedAt} as="both" />
      </Fact>
      <Fact name="Until">
        <When at={task.expiresAt} />
        {task.state === 'active' && task.expiresAt > now && <TimeLeft until={task.expiresAt} />}
      </Fact>
      {task.suspended && (
        <Fact name="Suspended">
          <When at={task.suspended.at} as="both" /> by{' '}
          {task.suspended.by === 'gatehouse' ? 'the circuit breaker' : actorName(task.suspended.by)}: “
          <PlainText text={task.suspended.reason} />”
        </Fact>
      )}
      <Fact name="Parameters">
        <Arguments value={task.parameters} />
      </Fact>
    </Facts>
  );
}

function DeclaredFacts({ task }: { task: Task }) {
  const said = (value: string | null) =>
    value === null ? <span className="gh-quiet">not said</span> : <PlainText text={value} />;
  return (
    <Facts>
      <Fact name="Intent">
        <PlainText text={task.intent} />
      </Fact>
      <Fact name="Asked for by">{said(task.requestedBy)}</Fact>
      <Fact name="On behalf of">{said(task.onBehalfOf)}</Fact>
      <Fact name="Ticket">{said(task.ticket)}</Fact>
      <Fact name="Change request">{said(task.changeRequest)}</Fact>
      <Fact name="Model">
        {task.model === null ? said(null) : said([task.modelProvider, task.model].filter(Boolean).join(' / '))}
      </Fact>
    </Facts>
  );
}

function TaskActions({ id }: { id: string }) {
  const actions = useInfiniteQuery(actionsQuery({ task: id }));
  return (
    <Section title="Actions">
      <DataTable
        label="Actions of this task"
        rows={actions.data?.pages.flatMap(({ items }) => items)}
        rowKey={({ actionId }) => actionId}
        link={({ actionId }) => ({ to: '/actions/$id', params: { id: actionId } })}
        columns={actionColumns({ agent: false })}
        error={actions.error}
        retry={() => void actions.refetch()}
        more={
          actions.hasNextPage
            ? { load: () => void actions.fetchNextPage(), loading: actions.isFetchingNextPage }
            : undefined
        }
        empty={
          <Empty icon={IconListSearch} title="No action yet" about="The task’s calls show here as they are recorded." />
        }
      />
    </Section>
  );
}
