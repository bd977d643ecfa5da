import { explainBody, type SupposedCall, type Task } from '@gatehouse/protocol';
import { explainCall, suppose } from '../../authoring/index.ts';
import { GatehouseError, isJsonObject } from '../../platform/index.ts';
import type { Snapshot } from '../../registry/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type Route, route } from '../route.ts';

export function explainRoutes({ registry, ledger, policies, clock }: ApiDependencies): Route[] {
  return [
    route(
      'POST /policy/explain',
      'inspect',
      'Which policies apply to an action of the record, or to a call that nobody makes, and why',
      { body: explainBody },
      async ({ body }) => {
        const snapshot = registry.snapshot();
        const set = policies(snapshot);
        if ('call' in body) return explainCall(snapshot, set, suppose(snapshot, body.call, clock.now()));
        const { call, decision, time } = await recordedCall(body.action, snapshot);
        return explainCall(snapshot, set, suppose(snapshot, call, time), decision);
      },
    ),
  ];

  /** As it was asked; what was known around it then is not kept with it, and is taken as unknown. */
  async function recordedCall(id: string, snapshot: Snapshot) {
    const action = await ledger.action(id);
    if (!action) throw new GatehouseError('not-found', 'action.unknown', `There is no action "${id}".`);
    const { summary } = action;
    const task = summary.task === null ? undefined : await registry.task(summary.task);
    if (!task || summary.tool === null || summary.agent === null)
      throw new GatehouseError(
        'conflict',
        'action.no-call',
        `The action "${id}" is no call of a tool in a task that is known.`,
      );
    const handedOnBy = await above(task);
    const call: SupposedCall = {
      agent: snapshot.agents.has(summary.agent)
        ? summary.agent
        : { name: summary.agent, environment: task.environment },
      template: task.template,
      parameters: task.parameters,
      ...(task.user !== null && { user: task.user }),
      ...(task.narrowing && { narrowedTo: [...task.narrowing.tools] }),
      handedOnBy,
      tool: summary.tool.split(' ')[0] ?? '',
      ...(isJsonObject(action.arguments) && { arguments: action.arguments }),
    };
    return { call, decision: summary.decision, time: Date.parse(summary.time) };
  }

  /** Who handed it on, nearest first. */
  async function above({ parent }: Task): Promise<NonNullable<SupposedCall['handedOnBy']>> {
    const links = [];
    for (let id = parent; id !== null; ) {
      const task = await registry.task(id);
      if (!task)
        throw new GatehouseError(
          'conflict',
          'action.no-call',
          `The task ${id}, from which it was handed on, is not known.`,
        );
      links.push({ agent: task.agent, template: task.template, parameters: task.parameters });
      id = task.parent;
    }
    return links;
  }
}
