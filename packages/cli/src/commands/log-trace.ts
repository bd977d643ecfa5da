import { existsSync } from 'node:fs';
import type { TracedTask, TraceStep } from '@gatehouse/protocol';
import type { Operator } from '@gatehouse/sdk/operator';
import { CliFailure } from '../failure.ts';
import { clean, type Output } from '../output.ts';
import { readReceiptFile } from '../receipt-file.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

export const trace: Run<ServerOptions & { steps: string }> = async ({ args: [what = ''], options, out }) => {
  const most = toNumber(options.steps, '--steps', 1, 10_000);
  const operator = operatorOf(options);
  const { task, action } = await find(operator, what);
  const found = await operator.call('GET /tasks/:id/trace', { params: { id: task } });
  if (out.json) return out.printJson(found);
  const { above, root } = found;
  for (const [depth, each] of above.entries())
    out.print(clean(`${indent(depth)}${each.id}  ${each.agent}  for ${each.user ?? '-'}: ${each.intent}`));
  print(root, above.length, action, most, out);
  if (found.more) out.note('Some tasks that were handed on are left out.');
};

/** The task, and the action that was named, if it was one. */
async function find(operator: Operator, what: string): Promise<{ task: string; action?: string }> {
  if (what.startsWith('tsk_')) return { task: what };
  if (what.startsWith('apr_')) {
    const { task, actionId } = await operator.call('GET /approvals/:id', { params: { id: what } });
    return { task, action: actionId };
  }
  const id = existsSync(what) ? (await readReceiptFile(what)).action : what;
  const { summary } = await operator.call('GET /actions/:id', { params: { id } });
  if (summary.task === null)
    throw new CliFailure('usage', 'trace.no-task', `${id} belongs to no task. \`gatehouse log show ${id}\` shows it.`);
  return { task: summary.task, action: id };
}

const indent = (depth: number) => '  '.repeat(depth);

function print(traced: TracedTask, depth: number, action: string | undefined, most: number, out: Output): void {
  const { task, steps, children, endedAt } = traced;
  const pad = indent(depth);
  const line = (text: string, style?: 'bold' | 'dim') =>
    out.print(style ? `${pad}${out.style(style, clean(text))}` : `${pad}${clean(text)}`);
  line(`${task.id}  ${task.agent}  ${task.template} in ${task.environment}  ${task.state}`, 'bold');
  line(`  asked for by ${task.vouchedBy ?? task.requestedBy ?? '-'}, acting for ${task.user ?? '-'}: ${task.intent}`);
  const rest = [...children];
  if (traced.more || steps.length > most) line('  … earlier steps are left out', 'dim');
  for (const step of steps.slice(-most)) {
    // What was handed on stands where it was.
    while (rest[0] && rest[0].task.startedAt < Date.parse(step.time))
      print(rest.shift() as TracedTask, depth + 2, action, most, out);
    printStep(step, task.startedAt, step.actionId === action, pad, out);
  }
  for (const child of rest) print(child, depth + 2, action, most, out);
  if (endedAt !== null) line(`  over after ${duration(endedAt - task.startedAt)}`, 'dim');
}

const colours = {
  success: 'green',
  failure: 'red',
  refused: 'red',
  unknown: 'red',
  anomalous: 'magenta',
  waiting: 'yellow',
  running: 'cyan',
  recorded: 'gray',
} as const;

function printStep(step: TraceStep, startedAt: number, isNamed: boolean, pad: string, out: Output): void {
  const { approval, decision } = step;
  const after = `+${duration(Date.parse(step.time) - startedAt)}`.padStart(9);
  const what = [
    step.kind === 'call' && step.operation === 'tools/call' ? null : step.operation,
    step.tool,
    step.resource,
  ];
  const who = step.kind === 'call' ? null : step.by && `by ${step.by}`;
  const took = step.durationMs > 0 ? duration(step.durationMs) : null;
  const text = [...what, who, took, step.actionId].filter(Boolean).join('  ');
  out.print(
    `${pad}${isNamed ? '>' : ' '} ${after}  ${out.style(colours[step.status], step.status.padEnd(9))} ${clean(text)}`,
  );
  const below = (label: string, value: string | null | undefined | false) => {
    if (value) out.print(`${pad}${' '.repeat(23)}${out.style('dim', label)} ${clean(value)}`);
  };
  if (step.kind === 'call')
    below(
      'decision',
      decision &&
        `${decision.effect} (tier ${decision.tier}, ${decision.code}) by ${decision.policies.join(', ') || 'no policy'}`,
    );
  below(
    'approval',
    approval &&
      `${approval.id} ${approval.state}${approval.decidedBy ? ` by ${approval.decidedBy}` : ''}${approval.waitedMs === null ? '' : ` after ${duration(approval.waitedMs)}`}`,
  );
  for (const { person, answer, channel, reason } of approval?.votes ?? [])
    below(answer, [person, channel && `in ${channel}`, reason].filter(Boolean).join(', '));
  below('credential', step.credentials.map(({ provider, lease, state }) => `${provider} ${lease} ${state}`).join(', '));
  below('labels', step.labels.join(', '));
  for (const change of step.changes) below('change', change);
  const isSaid =
    step.changes.includes(step.detail ?? '') || (step.status === 'success' && step.detail === decision?.reason);
  below('detail', isSaid ? null : step.detail);
}

function duration(ms: number): string {
  if (ms < 1_000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  return ms < 3_600_000
    ? `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1_000)} s`
    : `${(ms / 3_600_000).toFixed(1)} h`;
}
