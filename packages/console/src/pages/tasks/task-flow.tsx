import type { FlowEndorsement, FlowLabel, TaskFlow } from '@gatehouse/protocol';
import { IconAlertTriangle, IconEye, IconGavel, IconLock } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { taskFlowQuery } from '../../api/queries.ts';
import { isApprovalState, labelWords, throughWords } from '../../lib/flow.ts';
import { actorName } from '../../lib/words.ts';
import { ApprovalBadge, Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty, Section } from '../../ui/page.tsx';
import { PlainText, ToolName } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import classes from './tasks.module.css';

/** Why a call was held: what the task has seen, what people endorsed for it, and the calls that waited for it. */
export function TaskFlowSections({ id }: { id: string }) {
  const flow = useQuery(taskFlowQuery(id));
  const shared = { error: flow.error, retry: () => void flow.refetch() };
  return (
    <>
      <Section title="What it has seen" count={flow.data?.labels.length}>
        {flow.data && <p className={`gh-quiet ${classes.about}`}>{vouched(flow.data)}</p>}
        <DataTable
          label="What this task has seen"
          rows={flow.data?.labels}
          rowKey={({ label, through }) => `${label} ${through}`}
          columns={labelColumns(id)}
          {...shared}
          empty={
            <Empty
              icon={IconEye}
              title="It has seen nothing that matters"
              about="When a tool gives it untrusted content or sensitive data, the label and the result that brought it show here."
            />
          }
        />
      </Section>
      {flow.data && flow.data.endorsed.length > 0 && (
        <Section title="Endorsed values" count={flow.data.endorsed.length}>
          <DataTable
            label="Values that people endorsed for this task"
            rows={flow.data.endorsed}
            rowKey={({ id: endorsement }) => endorsement}
            columns={endorsedColumns}
            empty={null}
          />
        </Section>
      )}
      {/* What failed is said once, above. */}
      {!flow.error && (
        <Section title="Calls held for that" count={flow.data?.held.length}>
          <DataTable
            label="Calls that were held for what the task has seen"
            rows={flow.data?.held}
            rowKey={({ approval }) => approval}
            link={({ approval }) => ({ to: '/approvals/$id', params: { id: approval } })}
            columns={heldColumns}
            empty={
              <Empty
                icon={IconGavel}
                title="No call was held for where its arguments came from"
                about="A grave call whose recipient, account or address came from untrusted content, or from nowhere known, waits here for a person."
              />
            }
          />
        </Section>
      )}
    </>
  );
}

const vouched = ({ vouchedBy }: TaskFlow): string =>
  vouchedBy === null
    ? 'Nobody vouches for its intent and parameters, so that what they name counts as unknown.'
    : `${actorName(vouchedBy)} vouches for its intent and parameters.`;

const labelColumns = (task: string): Column<FlowLabel>[] => [
  {
    header: 'Label',
    cell: ({ label }) =>
      label === 'untrusted' ? (
        <Badge hue="amber" icon={IconAlertTriangle} title="Text that nobody vouches for: it may try to steer the agent">
          {labelWords(label)}
        </Badge>
      ) : label === 'changed' ? (
        <Badge
          hue="red"
          icon={IconAlertTriangle}
          title="What was read was changed in the database: it counts as everything that could be read"
        >
          {labelWords(label)}
        </Badge>
      ) : (
        <Badge hue="violet" icon={IconLock} title="Data that must not leave by itself">
          {labelWords(label)}
        </Badge>
      ),
  },
  { header: 'From', cell: ({ tool }) => <ToolName tool={tool} /> },
  {
    header: 'Brought by',
    cell: ({ actionId, tool }) => (
      <Link to="/actions/$id" params={{ id: actionId }} className="gh-link" data-row-link="">
        {tool === 'gatehouse' ? 'what was found' : 'the result of this action'}
      </Link>
    ),
  },
  { header: 'Through', cell: ({ through }) => <Through through={through} task={task} />, hide: 'medium' },
  { header: 'Since', cell: ({ at }) => <When at={at} as="both" />, align: 'end' },
];

function Through({ through, task }: { through: string; task: string }) {
  const { kind, id, words } = throughWords(through, task);
  if (kind === 'task')
    return (
      <Link to="/tasks/$id" params={{ id }} className="gh-link">
        {words}
      </Link>
    );
  return <span className="gh-quiet">{words}</span>;
}

const endorsedColumns: Column<FlowEndorsement>[] = [
  { header: 'Value', cell: ({ value }) => <PlainText text={value} mono />, width: '30%' },
  { header: 'As', cell: ({ role }) => role },
  { header: 'For calls of', cell: ({ for: covers }) => <PlainText text={covers ?? ''} /> },
  { header: 'By', cell: ({ person }) => actorName(person) },
  { header: 'Used', cell: ({ uses, maxUses }) => <span className="gh-numbers">{`${uses} of ${maxUses}`}</span> },
  {
    header: 'With',
    cell: ({ approval }) => (
      <Link to="/approvals/$id" params={{ id: approval }} className="gh-link" data-row-link="">
        this approval
      </Link>
    ),
  },
  { header: 'When', cell: ({ at }) => <When at={at} />, align: 'end' },
];

const heldColumns: Column<TaskFlow['held'][number]>[] = [
  { header: 'Tool', cell: ({ tool }) => <ToolName tool={tool} />, width: '18%' },
  { header: 'Why', cell: ({ reason }) => <PlainText text={reason} />, width: '40%' },
  { header: 'Rules', cell: ({ rules }) => rules.map((rule) => <code key={rule}>{rule} </code>), hide: 'medium' },
  {
    header: 'Answer',
    cell: ({ state }) => (isApprovalState(state) ? <ApprovalBadge state={state} /> : <Badge hue="gray">{state}</Badge>),
  },
  {
    header: 'Action',
    cell: ({ actionId }) => (
      <Link to="/actions/$id" params={{ id: actionId }} className="gh-link">
        records
      </Link>
    ),
  },
  { header: 'When', cell: ({ at }) => <When at={at} />, align: 'end' },
];
