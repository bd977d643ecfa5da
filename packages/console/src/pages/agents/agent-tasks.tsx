import { IconPlayerPlay } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { tasksQuery } from '../../api/queries.ts';
import { commands } from '../../lib/commands.ts';
import { DataTable } from '../../ui/data-table.tsx';
import { Empty, Section } from '../../ui/page.tsx';
import { Command } from '../../ui/text.tsx';
import { useNow } from '../../ui/when.tsx';
import { taskColumns } from '../tasks/task-columns.tsx';

const SHOWN = 5;

export function AgentTasks({ agent }: { agent: string }) {
  const now = useNow();
  const tasks = useInfiniteQuery(tasksQuery({ agent }));
  const rows = tasks.data?.pages.flatMap(({ items }) => items);
  const running = rows?.filter(({ state, expiresAt }) => state === 'active' && expiresAt > now).length;
  return (
    <Section
      title="Tasks"
      count={running === undefined ? undefined : `${running} running`}
      actions={
        <Link to="/tasks" search={{ agent }} className="gh-link">
          All its tasks
        </Link>
      }
    >
      <DataTable
        label={`Newest tasks of ${agent}`}
        rows={rows?.slice(0, SHOWN)}
        rowKey={({ id }) => id}
        link={({ id }) => ({ to: '/tasks/$id', params: { id } })}
        columns={taskColumns({ agent: false, now })}
        error={tasks.error}
        retry={() => void tasks.refetch()}
        empty={
          <Empty icon={IconPlayerPlay} title="It has not started a task" about="Connect an MCP client as this agent:">
            <Command>{commands.connect(agent)}</Command>
          </Empty>
        }
      />
    </Section>
  );
}
