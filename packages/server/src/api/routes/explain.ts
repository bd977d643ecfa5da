import { explainBody, type SupposedCall, type Task } from '@gatehouse/protocol';
import { explainCall, suppose } from '../../authoring/index.ts';
import { HAND_OUT } from '../../enforcement/index.ts';
import { GatehouseError, isJsonObject, type Json } from '../../platform/index.ts';
import { directRef } from '../../policy/index.ts';
import type { Snapshot } from '../../registry/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type Route, route } from '../route.ts';

export function explainRoutes({ registry, ledger, policies, credentials, clock }: ApiDependencies): Route[] {
  const abilitiesOf = (provider: string) => credentials.kindOf(provider)?.abilities;
  return [
    route(
      'POST /policy/explain',
      'inspect',
      'Which policies apply to an action of the record, or to a call that nobody makes, and why',
      { body: explainBody },
      async ({ body }) => {
        const snapshot = registry.snapshot();
        const set = policies(snapshot);
        if ('call' in body) return explainCall(snapshot, set, suppose(snapshot, body.call, clock.now()), abilitiesOf);
        const { call, decision, time } = await recordedCall(body.action, snapshot);
        return explainCall(snapshot, set, suppose(snapshot, call, time), abilitiesOf, decision);
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
      ...whatOf(summary.operation, summary.tool, action.arguments as Json | undefined),
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

/** What was asked for: of a hand-out without what was found out about it since. */
function whatOf(operation: string, tool: string, given: Json | undefined): Pick<SupposedCall, 'tool' | 'arguments'> {
  const args = isJsonObject(given) ? given : undefined;
  if (operation !== HAND_OUT) return { tool: tool.split(' ')[0] ?? '', ...(args && { arguments: args }) };
  const { scope, seconds } = args ?? {};
  const asked = { ...(scope !== undefined && { scope }), ...(seconds !== undefined && { seconds }) };
  return { tool: directRef(tool.split(/[/#]/)[0] ?? ''), arguments: asked };
}
