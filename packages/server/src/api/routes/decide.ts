import { askedHandOut, decideBody, type ForeseenDecision } from '@gatehouse/protocol';
import { HAND_OUT } from '../../enforcement/index.ts';
import { GatehouseError, type Json } from '../../platform/index.ts';
import { directRef } from '../../policy/index.ts';
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
        const what = whatOf(body.tool);
        const { agent, id, template, environment } = task;
        const call = { agent, task: id, template, environment, tool: body.tool };
        const args = argumentsOf(what.operation, body.arguments);
        try {
          const caller = await vouching.vouchedFor(agent, id);
          return { call, decision: await enforcement.foresee({ caller, ...what, arguments: args }) };
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

/** `server/tool`, or a credential of a provider. */
function whatOf(tool: string): { operation: string; server: string; name: string } {
  const [, server = '', name = ''] = /^([^/#]+)\/(.+)$/.exec(tool) ?? [];
  if (server) return { operation: 'tools/call', server, name };
  const [provider = ''] = tool.split('#');
  if (provider && tool === directRef(provider)) return { operation: HAND_OUT, server: provider, name: provider };
  throw new GatehouseError(
    'bad-request',
    'tool.invalid',
    `"${tool}" is no SERVER/TOOL, and no PROVIDER#credential. \`gatehouse tools\` and \`gatehouse providers\` list them.`,
  );
}

/** As the door that it comes in by takes them. */
function argumentsOf(operation: string, given: Record<string, unknown>): Json {
  if (operation !== HAND_OUT) return given as Json;
  const { data, error } = askedHandOut.safeParse(given);
  if (data) return data as Json;
  const [issue] = error.issues;
  throw new GatehouseError(
    'bad-request',
    'arguments.invalid',
    `${issue?.path.join('.') || 'The arguments'}: ${issue?.message}. Of a credential there are \`scope\` and \`seconds\`.`,
  );
}
