import type { ActionSummary } from '@gatehouse/protocol';
import { Button } from '@mantine/core';
import { IconListSearch } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { actionsQuery, tasksQuery } from '../../api/queries.ts';
import { byTask } from '../../lib/by-task.ts';
import { StatusBadge, TaskBadge } from '../../ui/badge.tsx';
import { Card, Empty, Failure, Section } from '../../ui/page.tsx';
import { PlainText, ToolName } from '../../ui/text.tsx';
import { useNow, When } from '../../ui/when.tsx';
import { worthSaying } from '../actions/action-columns.tsx';
import classes from './agent.module.css';

/** What the agent did, under the task that it did it for: the timeline of its page. */
export function AgentActions({ agent }: { agent: string }) {
  const now = useNow();
  const actions = useInfiniteQuery(actionsQuery({ agent }));
  const tasks = useInfiniteQuery(tasksQuery({ agent }));
  const known = new Map(tasks.data?.pages.flatMap(({ items }) => items).map((task) => [task.id, task]));
  const rows = actions.data?.pages.flatMap(({ items }) => items);
  return (
    <Section
      title="Timeline"
      actions={
        <Link to="/actions" search={{ agent }} className="gh-link">
          Search its actions
        </Link>
      }
    >
      {actions.error && <Failure error={actions.error} retry={() => void actions.refetch()} />}
      {rows?.length === 0 && (
        <Card padded={false}>
          <Empty icon={IconListSearch} title="It has done nothing yet" about="Its calls show here, task by task." />
        </Card>
      )}
      {byTask(rows ?? []).map(({ task: id, actions: own }) => {
        const task = id === null ? undefined : known.get(id);
        return (
          <div key={`${id}:${own[0]?.actionId}`} className={classes.group}>
            <div className={classes.groupHead}>
              {id === null ? (
                <strong>Outside of a task</strong>
              ) : (
                <Link to="/tasks/$id" params={{ id }} className="gh-link">
                  {task?.template ?? id}
                </Link>
              )}
              {task && <TaskBadge task={task} now={now} />}
              {task && (
                <p title="Declared by the agent, not verified">
                  “<PlainText text={task.intent} />”
                </p>
              )}
            </div>
            <ol className={classes.steps}>
              {own.map((action) => (
                <Step key={action.actionId} action={action} />
              ))}
            </ol>
          </div>
        );
      })}
      {actions.hasNextPage && (
        <Button
          variant="subtle"
          color="gray"
          mt="sm"
          loading={actions.isFetchingNextPage}
          onClick={() => void actions.fetchNextPage()}
        >
          Show earlier actions
        </Button>
      )}
    </Section>
  );
}

function Step({ action }: { action: ActionSummary }) {
  return (
    <li className={classes.step}>
      <When at={action.time} />
      <span>
        <StatusBadge status={action.status} />
      </span>
      <span className="gh-break">
        <Link to="/actions/$id" params={{ id: action.actionId }} data-row-link="">
          {action.tool ? <ToolName tool={action.tool} /> : action.operation}
        </Link>
        {action.resource && <small>{action.resource}</small>}
        {worthSaying(action) && <small>{worthSaying(action)}</small>}
      </span>
    </li>
  );
}
