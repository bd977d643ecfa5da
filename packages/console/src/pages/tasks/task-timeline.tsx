import type { TaskTrace, TracedTask, TraceStep } from '@gatehouse/protocol';
import { Button, Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type KeyboardEvent, useMemo, useState } from 'react';
import { taskTraceQuery } from '../../api/queries.ts';
import { duration } from '../../lib/time.ts';
import { isFold, type TimelineRow, timelineRows } from '../../lib/timeline.ts';
import { actorName, shortId } from '../../lib/words.ts';
import { StatusBadge } from '../../ui/badge.tsx';
import { Card, Failure, Section } from '../../ui/page.tsx';
import { PlainText, ToolName } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import classes from './timeline.module.css';

const ROWS_AT_ONCE = 100;

/** From who asked to the end, with what was handed on. Runs of like calls are folded, so that a thousand steps can be read. */
export function TaskTimeline({ id }: { id: string }) {
  const trace = useQuery(taskTraceQuery(id));
  return (
    <Section title="Timeline">
      {trace.data ? (
        <Timeline trace={trace.data} />
      ) : trace.error ? (
        <Failure error={trace.error} retry={() => void trace.refetch()} />
      ) : (
        <Skeleton height={160} radius="md" />
      )}
    </Section>
  );
}

function Timeline({ trace }: { trace: TaskTrace }) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [shown, setShown] = useState(ROWS_AT_ONCE);
  const rows = useMemo(() => timelineRows(trace.root, open), [trace, open]);
  const toggle = (key: string) =>
    setOpen((before) => {
      const next = new Set(before);
      if (!next.delete(key)) next.add(key);
      return next;
    });
  return (
    <Card>
      {trace.above.map((each) => (
        <p key={each.id} className={classes.above}>
          Handed on from{' '}
          <Link to="/tasks/$id" params={{ id: each.id }} className="gh-link">
            {each.agent}
          </Link>
          : <PlainText text={each.intent} />
        </p>
      ))}
      <ol className={classes.rows} aria-label="Timeline of the task" onKeyDown={moveByArrows}>
        {rows.slice(0, shown).map((row) => (
          <li key={row.key} className={classes.row} style={{ paddingInlineStart: `${row.depth * 1.25}rem` }}>
            <Row row={row} toggle={toggle} isOpen={open.has(row.key)} />
          </li>
        ))}
      </ol>
      {rows.length > shown && (
        <Button variant="subtle" color="gray" onClick={() => setShown(shown + ROWS_AT_ONCE * 5)}>
          Show more ({rows.length - shown})
        </Button>
      )}
      {(trace.more || trace.root.more) && <p className="gh-quiet">What was recorded first is left out.</p>}
    </Card>
  );
}

function Row({ row, toggle, isOpen }: { row: TimelineRow; toggle: (key: string) => void; isOpen: boolean }) {
  if (row.task) return <TaskRow of={row.task} />;
  if (isFold(row))
    return (
      <button
        type="button"
        className={classes.fold}
        aria-expanded={isOpen}
        onClick={() => toggle(row.key)}
        data-step=""
      >
        <StatusBadge status={row.steps[0]?.status ?? 'recorded'} />
        <span>
          {row.steps.length} × {row.steps[0]?.tool ?? row.steps[0]?.operation}
        </span>
      </button>
    );
  return row.steps[0] ? <StepRow step={row.steps[0]} startedAt={row.startedAt} /> : null;
}

function TaskRow({ of: { task } }: { of: TracedTask }) {
  return (
    <div className={classes.task}>
      <strong>
        <Link to="/tasks/$id" params={{ id: task.id }} className="gh-link" data-step="">
          {task.agent}
        </Link>
      </strong>{' '}
      {task.template}, {task.state}
      <small>
        {task.user ? `for ${task.user}: ` : ''}
        <PlainText text={task.intent} />
      </small>
    </div>
  );
}

function StepRow({ step, startedAt }: { step: TraceStep; startedAt: number }) {
  const { approval, decision } = step;
  return (
    <div className={classes.step}>
      <span className={classes.after}>+{duration(Date.parse(step.time) - startedAt)}</span>
      <StatusBadge status={step.status} />
      <span className={classes.what}>
        <Link to="/actions/$id" params={{ id: step.actionId }} className="gh-link" data-step="">
          {step.tool ? <ToolName tool={step.tool} /> : step.operation}
        </Link>
        {step.resource && <small>{step.resource}</small>}
        {step.kind !== 'call' && step.by && <small>by {actorName(step.by)}</small>}
        {decision && decision.effect !== 'allow' && <small>{decision.code}</small>}
        {approval && (
          <small>
            <Link to="/approvals/$id" params={{ id: approval.id }} className="gh-link">
              {approval.state}
            </Link>
            {approval.decidedBy && ` by ${actorName(approval.decidedBy)}`}
            {approval.waitedMs !== null && ` after ${duration(approval.waitedMs)}`}
          </small>
        )}
        {approval && approval.votes.length > 1 && (
          <small>
            {approval.votes
              .map(
                ({ answer, person, channel }) => `${answer} by ${actorName(person)}${channel ? ` in ${channel}` : ''}`,
              )
              .join(', ')}
          </small>
        )}
        {step.credentials.map(({ provider, lease }) => (
          <small key={lease}>
            {provider}{' '}
            <Link to="/leases/$id" params={{ id: lease }} className="gh-link">
              {shortId(lease)}
            </Link>
          </small>
        ))}
      </span>
      <span className={classes.time}>
        {step.durationMs > 0 && <small>{duration(step.durationMs)}</small>} <When at={step.time} />
      </span>
    </div>
  );
}

/** Up and down go from step to step. */
function moveByArrows(event: KeyboardEvent<HTMLOListElement>): void {
  if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
  const all = [...event.currentTarget.querySelectorAll<HTMLElement>('[data-step]')];
  const at = all.indexOf(document.activeElement as HTMLElement);
  const next = all[at + (event.key === 'ArrowDown' ? 1 : -1)];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
