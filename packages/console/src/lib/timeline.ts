import type { TracedTask, TraceStep } from '@gatehouse/protocol';

/** A line of a timeline: the head of a task, a step, or a run of like steps. */
export interface TimelineRow {
  key: string;
  depth: number;
  startedAt: number;
  task?: TracedTask;
  steps: TraceStep[];
}

/** Runs of fewer are shown one by one. */
const FOLDED_FROM = 4;

export const isFold = ({ steps }: TimelineRow): boolean => steps.length > 1;

/** Steps by time; what was handed on stands where it began. Like calls in a row are one line, which can be opened. */
export function timelineRows(root: TracedTask, open: ReadonlySet<string>, depth = 0): TimelineRow[] {
  const startedAt = root.task.startedAt;
  const rows: TimelineRow[] = [{ key: root.task.id, depth, startedAt, task: root, steps: [] }];
  const children = root.children.toSorted((a, b) => a.task.startedAt - b.task.startedAt);
  let run: TraceStep[] = [];
  const end = () => {
    const [first] = run;
    if (!first) return;
    const key = `run ${first.actionId}`;
    const isFolded = run.length >= FOLDED_FROM;
    if (isFolded) rows.push({ key, depth: depth + 1, startedAt, steps: run });
    if (!isFolded || open.has(key))
      for (const step of run)
        rows.push({ key: step.actionId, depth: depth + (isFolded ? 2 : 1), startedAt, steps: [step] });
    run = [];
  };
  for (const step of root.steps) {
    while (children[0] && children[0].task.startedAt < Date.parse(step.time)) {
      end();
      rows.push(...timelineRows(children.shift() as TracedTask, open, depth + 1));
    }
    if (run[0] && !isAlike(run[0], step)) end();
    run.push(step);
  }
  end();
  for (const child of children) rows.push(...timelineRows(child, open, depth + 1));
  return rows;
}

/** What a person decided, and what did not go well, is never folded away. */
const isAlike = (a: TraceStep, b: TraceStep): boolean =>
  a.kind === b.kind &&
  a.operation === b.operation &&
  a.tool === b.tool &&
  a.status === b.status &&
  a.approval === null &&
  b.approval === null;
