import { timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

export const showTaskFlow: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const flow = await operatorOf(options).call('GET /tasks/:id/flow', { params: { id } });
  if (out.json) return out.printJson(flow);
  out.facts([
    ['Task', flow.task],
    ['Vouched for by', flow.vouchedBy ?? 'nobody: what it names of itself counts as unknown'],
    ['Untrusted content', flow.untrusted ? 'yes' : 'none so far'],
    ['Sensitive data', flow.sensitive.join(', ') || 'none so far'],
  ]);
  if (flow.labels.length > 0) {
    out.print(out.style('bold', 'What it has seen'));
    out.table(
      ['LABEL', 'FROM', 'ACTION', 'THROUGH', 'SINCE'],
      flow.labels.map(({ label, tool, actionId, through, at }) => [label, tool, actionId, through, timeOf(at) ?? '']),
    );
  }
  if (flow.endorsed.length > 0) {
    out.print(out.style('bold', 'Endorsed for this task'));
    out.table(
      ['ROLE', 'VALUE', 'FOR', 'BY', 'USED', 'APPROVAL'],
      flow.endorsed.map(({ role, value, for: covers, person, uses, maxUses, approval }) => [
        role,
        value,
        covers ?? '',
        person,
        `${uses} of ${maxUses}`,
        approval,
      ]),
    );
  }
  if (flow.held.length === 0) return out.note('No call was held for where its arguments came from.');
  out.print(out.style('bold', 'Held for a person'));
  out.table(
    ['APPROVAL', 'STATE', 'TOOL', 'WHY'],
    flow.held.map(({ approval, state, tool, reason }) => [approval, state, tool, reason]),
  );
};
