import { decideBody, type ForeseenDecision } from '@gatehouse/protocol';
import { GatehouseError, isJsonObject, type Json } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type Route, route } from '../route.ts';

/** What would be decided of a call of a running task, for people who ask. An agent finds out by calling. */
export function decideRoutes({ registry, enforcement, vouching, policies }: ApiDependencies): Route[] {
  return [
    route(
      'POST /decide',
      'inspect',
      'What would be decided now of a call of a running task; nothing is recorded, and nothing used up',
      { body: decideBody },
      async ({ body }): Promise<ForeseenDecision> => {
        const task = await registry.task(body.task);
        if (!task)
          throw new GatehouseError(
            'not-found',
            'task.unknown',
            `There is no task "${body.task}". \`gatehouse tasks\` lists them.`,
          );
        const [, server, name] = /^([^/]+)\/(.+)$/.exec(body.tool) ?? [];
        if (server === undefined || name === undefined)
          throw new GatehouseError(
            'bad-request',
            'tool.invalid',
            `"${body.tool}" is no SERVER/TOOL. \`gatehouse tools\` lists them.`,
          );
        const { agent, id, template, environment } = task;
        const call = { agent, task: id, template, environment, tool: body.tool };
        const args = isJsonObject(body.arguments as Json) ? (body.arguments as Json) : {};
        try {
          const caller = await vouching.vouchedFor(agent, id);
          const action = { caller, operation: 'tools/call', server, name, arguments: args };
          return { call, decision: await enforcement.foresee(action) };
        } catch (error) {
          if (!(error instanceof GatehouseError) || error.kind !== 'forbidden') throw error;
          const { version: policyVersion } = policies(registry.snapshot());
          const { code, message: reason } = error;
          return { call, decision: { effect: 'deny', tier: 4, code, reason, policies: [], policyVersion } };
        }
      },
    ),
  ];
}
