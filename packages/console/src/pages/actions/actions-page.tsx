import { Button, Select, TextInput } from '@mantine/core';
import { IconListSearch } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type FormEvent, useEffect, useState } from 'react';
import { type ActionFilter, actionsQuery, agentsQuery, toolsQuery } from '../../api/queries.ts';
import { fromLocalInput, toLocalInput } from '../../lib/local-input.ts';
import { DataTable } from '../../ui/data-table.tsx';
import { Empty, Page } from '../../ui/page.tsx';
import { actionColumns } from './action-columns.tsx';
import classes from './search.module.css';

const FIRST_ROWS = 20;
/** Without somebody asking for more. */
const MOST_PAGES = 50;

/** Search over everything that was recorded. The filter is in the address, so that a finding can be handed on as a link. */
export function ActionsPage() {
  const filter = useSearch({ from: '/house/actions' });
  const navigate = useNavigate();
  const actions = useInfiniteQuery(actionsQuery(filter));
  const search = (next: ActionFilter) => void navigate({ to: '/actions', search: next, replace: true });
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = actions;
  const rows = actions.data?.pages.flatMap(({ items }) => items);
  // A page ends when its time is up; one that found little is followed by the next without being asked.
  const isLooking = hasNextPage && (rows?.length ?? 0) < FIRST_ROWS && (actions.data?.pages.length ?? 0) < MOST_PAGES;
  useEffect(() => {
    if (isLooking && !isFetchingNextPage) void fetchNextPage();
  }, [isLooking, isFetchingNextPage, fetchNextPage]);
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  return (
    <Page title="Actions" about="Everything that was asked for, refused, done or changed, newest first.">
      <SearchForm key={JSON.stringify(filter)} filter={filter} search={search} />
      <DataTable
        label="Actions"
        rows={rows?.length === 0 && isLooking ? undefined : rows}
        rowKey={({ actionId }) => actionId}
        link={({ actionId }) => ({ to: '/actions/$id', params: { id: actionId } })}
        columns={actionColumns({ agent: true })}
        error={actions.error}
        retry={() => void actions.refetch()}
        more={
          actions.hasNextPage
            ? { load: () => void actions.fetchNextPage(), loading: actions.isFetchingNextPage }
            : undefined
        }
        empty={
          <Empty
            icon={IconListSearch}
            title={isFiltered ? 'Nothing fits this search' : 'Nothing is recorded yet'}
            about={isFiltered ? 'Widen the time, or leave out a field.' : 'Calls show here from the first one on.'}
          />
        }
      />
    </Page>
  );
}

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

type TypedField =
  | 'resource'
  | 'operation'
  | 'ticket'
  | 'person'
  | 'label'
  | 'environment'
  | 'approval'
  | 'task'
  | 'credential';

function SearchForm({ filter, search }: { filter: ActionFilter; search: (next: ActionFilter) => void }) {
  const agents = useQuery(agentsQuery).data?.map(({ name }) => name) ?? [];
  const tools = useQuery(toolsQuery).data?.items.map(({ ref }) => ref) ?? [];
  const [draft, setDraft] = useState(filter);
  const set = (change: ActionFilter) => setDraft({ ...draft, ...change });
  /** Choices count at once; what is typed counts on Enter. */
  const choose = (change: ActionFilter) => search({ ...draft, ...change });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    search(draft);
  };
  const field = (name: TypedField, label: string, placeholder: string) => (
    <TextInput
      label={label}
      placeholder={placeholder}
      value={draft[name] ?? ''}
      onChange={(event) => set({ [name]: event.currentTarget.value || undefined })}
    />
  );
  return (
    <form onSubmit={submit} className={classes.form}>
      <TextInput
        label="Words"
        placeholder="refund 1042, or refu*"
        title="Words of the tool, resource, intent, detail, changes and ticket. Arguments are not searched."
        value={draft.text ?? ''}
        onChange={(event) => set({ text: event.currentTarget.value || undefined })}
      />
      <Select
        label="Agent"
        placeholder="Any"
        data={agents}
        value={draft.agent ?? null}
        onChange={(agent) => choose({ agent: agent ?? undefined })}
        searchable
        clearable
        data-filter
      />
      <Select
        label="Tool"
        placeholder="Any"
        data={tools}
        value={draft.tool ?? null}
        onChange={(tool) => choose({ tool: tool ?? undefined })}
        searchable
        clearable
      />
      <Select
        label="Decision"
        placeholder="Any"
        data={[
          { value: 'allow', label: 'Allowed' },
          { value: 'deny', label: 'Refused' },
          { value: 'needs-approval', label: 'Needed approval' },
        ]}
        value={draft.effect ?? null}
        onChange={(effect) => choose({ effect: (effect ?? undefined) as ActionFilter['effect'] })}
        clearable
      />
      <Select
        label="Outcome"
        placeholder="Any"
        data={[
          { value: 'success', label: 'Success' },
          { value: 'failure', label: 'Failure' },
          { value: 'anomalous', label: 'Anomalous' },
          { value: 'unknown', label: 'Unknown' },
        ]}
        value={draft.result ?? null}
        onChange={(result) => choose({ result: (result ?? undefined) as ActionFilter['result'] })}
        clearable
      />
      {field('resource', 'Resource', 'order 1042')}
      {field('person', 'Person', 'owner@example.test')}
      {field('ticket', 'Ticket', 'SUP-301')}
      {field('operation', 'Operation', 'agent.kill')}
      {field('label', 'Labels', 'untrusted, anomalous')}
      {field('environment', 'Environment', 'prod')}
      {field('approval', 'Approval', 'apr_…')}
      {field('task', 'Task', 'tsk_…')}
      {field('credential', 'Credential', 'github-token')}
      <TextInput
        type="datetime-local"
        label={`From (${zone})`}
        value={toLocalInput(draft.from)}
        onChange={(event) => set({ from: fromLocalInput(event.currentTarget.value) })}
      />
      <TextInput
        type="datetime-local"
        label={`To (${zone})`}
        value={toLocalInput(draft.to)}
        onChange={(event) => set({ to: fromLocalInput(event.currentTarget.value) })}
      />
      <div className={classes.buttons}>
        <Button type="submit">Search</Button>
        <Button variant="default" onClick={() => search({})}>
          Clear
        </Button>
      </div>
    </form>
  );
}
