import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TracedTask, TraceStep } from '@gatehouse/protocol';
import { timelineRows } from './timeline.ts';

const step = (at: number, fields: Partial<TraceStep> = {}) =>
  ({
    kind: 'call',
    actionId: `act_${at}`,
    operation: 'tools/call',
    tool: 'shop/get_order',
    status: 'success',
    approval: null,
    time: new Date(at).toISOString(),
    ...fields,
  }) as TraceStep;

const task = (id: string, startedAt: number, steps: TraceStep[], children: TracedTask[] = []) =>
  ({ task: { id, startedAt }, steps, children, endedAt: null, more: false }) as unknown as TracedTask;

test('a thousand like calls are one line, which opens; what was refused or approved stands for itself', () => {
  const many = Array.from({ length: 1_000 }, (_, at) => step(at + 10));
  const root = task('tsk_1', 0, [
    ...many,
    step(2_000, { status: 'refused' }),
    step(2_001, { approval: { id: 'apr_1' } as never }),
  ]);
  const folded = timelineRows(root, new Set());
  assert.deepEqual(
    folded.map(({ key, steps }) => [key, steps.length]),
    [
      ['tsk_1', 0],
      ['run act_10', 1_000],
      ['act_2000', 1],
      ['act_2001', 1],
    ],
  );
  assert.equal(timelineRows(root, new Set(['run act_10'])).length, folded.length + 1_000);
});

test('what was handed on stands where it began, one level deeper', () => {
  const child = task('tsk_2', 15, [step(16)]);
  const rows = timelineRows(task('tsk_1', 0, [step(10), step(20)], [child]), new Set());
  assert.deepEqual(
    rows.map(({ key, depth }) => [key, depth]),
    [
      ['tsk_1', 0],
      ['act_10', 1],
      ['tsk_2', 1],
      ['act_16', 2],
      ['act_20', 1],
    ],
  );
});
