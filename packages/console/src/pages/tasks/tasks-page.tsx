import { SegmentedControl, Select } from '@mantine/core';
import { IconPlayerPlay } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { agentsQuery, tasksQuery } from '../../api/queries.ts';
import type { TaskSearch } from '../../app/routes/agents.ts';
import { commands } from '../../lib/commands.ts';
import { DataTable } from '../../ui/data-table.tsx';
import { Empty, growing, Page, Toolbar } from '../../ui/page.tsx';
import { Command } from '../../ui/text.tsx';
import { useNow } from '../../ui/when.tsx';
import { taskColumns } from './task-columns.tsx';

export function TasksPage() {
  const filter = useSearch({ from: '/house/tasks' });
  const navigate = useNavigate();
  const now = useNow();
  const tasks = useInfiniteQuery(tasksQuery(filter));
  const agents = useQuery(agentsQuery).data;
  const rows = tasks.data?.pages.flatMap(({ items }) => items);
  const set = (change: TaskSearch) => void navigate({ to: '/tasks', search: { ...filter, ...change }, replace: true });

  return (
    <Page
      title="Tasks"
      about="One run of an agent each: who started it and why, under which template, until when. A token is for one task."
    >
      <Toolbar>
        <Select
          className={growing}
          placeholder="Any agent"
          aria-label="Agent"
          data={agents?.map(({ name }) => name) ?? []}
          value={filter.agent ?? null}
          onChange={(agent) => set({ agent: agent ?? undefined })}
          searchable
          clearable
          data-filter
        />
        <SegmentedControl
          aria-label="State"
          value={filter.state ?? 'any'}
          onChange={(state) => set({ state: state === 'any' ? undefined : (state as TaskSearch['state']) })}
          data={[
            { value: 'any', label: 'All' },
            { value: 'active', label: 'Active' },
            { value: 'ended', label: 'Ended' },
            { value: 'killed', label: 'Killed' },
          ]}
        />
      </Toolbar>
      <DataTable
        label="Tasks"
        rows={rows}
        rowKey={({ id }) => id}
        link={({ id }) => ({ to: '/tasks/$id', params: { id } })}
        columns={taskColumns({ agent: filter.agent === undefined, now })}
        error={tasks.error}
        retry={() => void tasks.refetch()}
        more={
          tasks.hasNextPage ? { load: () => void tasks.fetchNextPage(), loading: tasks.isFetchingNextPage } : undefined
        }
        empty={
          filter.agent !== undefined || filter.state !== undefined ? (
            <Empty icon={IconPlayerPlay} title="No task fits this filter" about="Choose All, or another agent." />
          ) : (
            <Empty
              icon={IconPlayerPlay}
              title="No task has been started"
              about="A task starts when an agent asks for its token. Connect an MCP client as one of the agents:"
            >
              <Command>{commands.connect(agents?.[0]?.name ?? 'AGENT')}</Command>
            </Empty>
          )
        }
      />
    </Page>
  );
}
