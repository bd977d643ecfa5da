import type { BaselineView, ToolBaseline } from '@gatehouse/protocol';
import { commandToPaste } from '@gatehouse/protocol/command-to-paste';
import { CliFailure } from '../failure.ts';
import { type Output, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

interface BaselineOptions extends ServerOptions {
  reset?: boolean;
  accept?: string;
  reason?: string;
}

export const baseline: Run<BaselineOptions> = async ({ args: [name = ''], options, out }) => {
  const operator = operatorOf(options);
  const { reset, accept, reason } = options;
  const params = { name };
  if (reset && accept !== undefined) throw new CliFailure('usage', 'usage', 'Give --reset or --accept, not both.');
  if ((reset || accept !== undefined) && !reason)
    throw new CliFailure('usage', 'usage', 'Say why with --reason: it goes on record.');
  if (reset) {
    const after = await operator.call('POST /agents/:name/baseline/reset', { params, body: { reason: reason ?? '' } });
    if (out.json) return out.printJson(after);
    return out.print(`What is usual for ${name} is learned anew. Until then nothing that it does counts as unusual.`);
  }
  if (accept !== undefined) {
    const body = { tool: accept, reason: reason ?? '' };
    const after = await operator.call('POST /agents/:name/baseline/accept', { params, body });
    if (out.json) return out.printJson(after);
    return out.print(`What was unusual of ${accept} is usual for ${name} from now on.`);
  }
  const view = await operator.call('GET /agents/:name/baseline', { params });
  if (out.json) return out.printJson(view);
  print(view, out);
};

function print(view: BaselineView, out: Output): void {
  const { whole } = view;
  out.facts([
    ['Agent', view.agent],
    ['State', stateOf(view)],
    ['Known since', timeOf(view.learnedAt)],
    ['Calls', whole && `${whole.calls} on ${whole.days} days, ${timeOf(whole.firstAt)} to ${timeOf(whole.lastAt)}`],
    ['Busiest hour', whole && `${whole.perHour} calls, as far as that is usual`],
    ['On a day', whole && `${whole.perDay.usual} calls, at most ${whole.perDay.most}`],
    ['Hours', whole && `${bars(whole.hours)}  0 to 23, ${view.zone}`],
    ['Weekdays', whole && `${bars([...whole.weekdays.slice(1), whole.weekdays[0] ?? 0])}  Monday to Sunday`],
    ['Rules that are off', view.rulesOff.join(', ')],
  ]);
  if (view.tools.length === 0) {
    out.note('It has not called a tool yet.');
    return;
  }
  out.print('');
  out.table(
    ['TOOL', 'CALLS', 'DAYS', 'HOURS', 'IN AN HOUR', 'AMOUNT', 'ON', 'RESULT', 'UNUSUAL'],
    view.tools.map((each) => [
      each.tool,
      String(each.calls),
      String(each.days),
      bars(each.hours),
      String(each.perHour),
      each.amount === null ? '' : String(each.amount),
      resourcesOf(each),
      `${each.resultBytes.most} B`,
      unusualOf(each),
    ]),
  );
  if (view.overflow) out.note('It uses more tools than are kept of one agent; of those nothing is known.');
  const waiting = view.tools.find(({ unusual }) => unusual);
  if (waiting)
    out.note(
      `Unusual calls teach nothing by themselves. If they are right: ${commandToPaste`gatehouse agent baseline ${view.agent} --accept ${waiting.tool} --reason WHY` ?? 'accept them'}`,
    );
}

function stateOf({ state, needs, whole }: BaselineView): string {
  if (state === 'known') return 'known: what differs is unusual';
  return `learning: ${whole?.days ?? 0} of ${needs.days} days, ${Math.min(whole?.calls ?? 0, needs.calls)} of ${needs.calls} calls; nothing is unusual yet`;
}

const resourcesOf = ({ resources: { known, watched, overflow } }: ToolBaseline) =>
  overflow ? 'many' : known === 0 ? '' : `${known}${watched ? ', watched' : ''}`;

const unusualOf = ({ unusual }: ToolBaseline) =>
  unusual ? `${unusual.calls}: ${Object.keys(unusual.kinds).join(', ')}` : '';

const STEPS = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** One sign for each count, as high as its share of the highest. */
function bars(counts: readonly number[]): string {
  const most = Math.max(1, ...counts);
  return counts.map((count) => STEPS[Math.ceil((count / most) * (STEPS.length - 1))]).join('');
}
