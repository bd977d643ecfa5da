import type { HeldResult } from '@gatehouse/protocol';
import { CliFailure } from '../failure.ts';
import { takeUpTo } from '../items.ts';
import { clean, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';
import { approve } from './approvals.ts';

export const listResults: Run<ServerOptions & { agent?: string; limit: string }> = async ({ options, out }) => {
  const { agent } = options;
  const limit = toNumber(options.limit, '--limit', 1, 100_000);
  const items = await takeUpTo(operatorOf(options).list('GET /results', { query: { agent } }), limit);
  if (out.json) return out.printJson({ items });
  if (items.length === 0)
    return out.note(
      'No result waits. Tools with `hold`, limits and detectors keep results back; see "Guard what comes back from tools".',
    );
  out.table(
    ['RESULT', 'STATE', 'AGENT', 'TOOL', 'ITEMS', 'BYTES', 'UNTIL', 'WHY'],
    items.map((each) => [
      each.id,
      stateOf(each),
      each.agent,
      each.tool,
      String(each.items),
      String(each.bytes),
      timeOf(each.expiresAt) ?? '',
      clean(each.reason).slice(0, 200),
    ]),
  );
};

export const showResult: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const result = await operatorOf(options).call('GET /results/:id', { params: { id } });
  if (out.json) return out.printJson(result);
  out.facts([
    ['Result', result.id],
    ['State', stateOf(result)],
    ['Agent', result.agent],
    ['Task', result.task],
    ['Tool', result.tool],
    ['Why', clean(result.reason)],
    ['Items', String(result.items)],
    ['Bytes', String(result.bytes)],
    ['Labels', result.labels.join(', ')],
    ['Held', timeOf(result.createdAt)],
    ['Until', timeOf(result.expiresAt)],
    ['Action', result.action],
    ['Approval', result.approval],
  ]);
};

export const releaseResult: Run<ServerOptions & { wait?: boolean; browser: boolean }> = async (run) => {
  const [id = ''] = run.args;
  const { approval } = await operatorOf(run.options).call('GET /results/:id', { params: { id } });
  if (approval === null)
    throw new CliFailure(
      'failed',
      'result.not-asked',
      'Nobody was asked about it yet: the agent asks when it repeats the call.',
    );
  return approve({ ...run, args: [approval] });
};

export const discardResult: Run<ServerOptions & { reason: string }> = async ({ args: [id = ''], options, out }) => {
  const body = { reason: options.reason };
  const approval = await operatorOf(options).call('POST /results/:id/discard', { params: { id }, body });
  if (out.json) out.printJson(approval);
  else out.print(`${clean(id)}: discarded`);
};

const stateOf = ({ state }: HeldResult): string => (state === 'approved' ? 'released' : 'waits');
