import type { Task } from '@gatehouse/protocol';
import { EnvironmentBadge, TaskBadge } from '../../ui/badge.tsx';
import type { Column } from '../../ui/data-table.tsx';
import { Name, PlainText } from '../../ui/text.tsx';
import { TimeLeft, When } from '../../ui/when.tsx';
import classes from './tasks.module.css';

export function taskColumns({ agent, now }: { agent: boolean; now: number }): Column<Task>[] {
  return [
    {
      header: 'Stated intent',
      cell: ({ intent }) => (
        <span className={classes.intent} title="Declared by the agent, not verified">
          “<PlainText text={intent} />”
        </span>
      ),
      width: '38%',
    },
    ...(agent ? [{ header: 'Agent', cell: (task: Task) => <Name of={task.agent} /> }] : []),
    { header: 'Template', cell: ({ template }) => <code className="gh-nowrap">{template}</code> },
    { header: 'Environment', cell: ({ environment }) => <EnvironmentBadge name={environment} />, hide: 'medium' },
    { header: 'State', cell: (task) => <TaskBadge task={task} now={now} /> },
    {
      header: 'Time left',
      cell: (task) => (task.state === 'active' && task.expiresAt > now ? <TimeLeft until={task.expiresAt} /> : null),
      hide: 'medium',
    },
    { header: 'Started', cell: ({ startedAt }) => <When at={startedAt} />, align: 'end' },
  ];
}
