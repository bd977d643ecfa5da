import { type Dispatch, type Enforcement, NotSent } from '../../enforcement/index.ts';
import type { TxnTokens } from '../../identity/index.ts';
import { type Log, traceparentOf } from '../../platform/index.ts';
import type { RegisteredServer, Registry } from '../../registry/index.ts';
import type { ServerMessage, UpstreamAnswer, UpstreamConnection } from '../upstream/types.ts';
import { type AgentSide, type Call, levelPasses } from './agent-side.ts';
import type { Asks } from './ask.ts';
import type { Connections } from './connections.ts';
import { asObject, grantedCapabilities, taskSupportOf } from './grants.ts';
import { doorLimits } from './limits.ts';
import type { OwnedTasks } from './owned-tasks.ts';
import { createPassing, heardOf } from './passing.ts';
import { settleTask } from './settle-task.ts';
import { toUpstream } from './to-upstream.ts';
import { paramsOut } from './view.ts';
import { inputWanted, tooManyRounds } from './wanted-input.ts';

export interface ExchangeDependencies {
  enforcement: Enforcement;
  txnTokens: TxnTokens;
  registry: Registry;
  connections: Connections;
  asks: Asks;
  tasks: OwnedTasks;
  log: Log;
}

export type Exchange = (
  connection: UpstreamConnection,
  agent: AgentSide,
  call: Call,
  dispatch: Dispatch,
  signal: AbortSignal,
) => Promise<UpstreamAnswer>;

/** What goes to a server for one call that was let through, and what the server says meanwhile. */
export function createExchange(deps: ExchangeDependencies): Exchange {
  const { enforcement, connections, asks, tasks } = deps;

  return exchange;

  /** Sends, and where the client can be asked directly goes on until the server has what it needs. */
  async function exchange(
    connection: UpstreamConnection,
    agent: AgentSide,
    call: Call,
    dispatch: Dispatch,
    signal: AbortSignal,
  ): Promise<UpstreamAnswer> {
    if (call.perform) return { result: await call.perform(connection) };
    const at = { server: call.server, name: call.name, connection, of: dispatch.call };
    const passing = createPassing(deps.log);
    const hooks = {
      signal,
      onNotification: ({ method, params }: ServerMessage) => {
        passing.pass(
          () => heardBy(agent, call, dispatch, { method, params }),
          (shown) => passOn(connection, agent, call, { method, params: shown }),
        );
      },
      onServerRequest: (message: ServerMessage, aborted: AbortSignal) => asks.ask(agent, at, message, aborted),
    };
    const server = deps.registry.snapshot().servers.get(call.server);
    if (!server) throw new NotSent(`There is no tool server "${call.server}".`);
    const capabilities = grantedCapabilities(agent.capabilities, server.manifest);
    const txnToken = (audience: string) => signFor(agent, call, dispatch, audience);
    const sent = asWanted(server, asDecided(call, dispatch));
    const traceparent = dispatch.trace && traceparentOf(dispatch.trace);
    let params = sent.params;
    for (let round = call.round ?? 0; ; round++) {
      const request = await toUpstream(
        connection,
        agent,
        { ...sent, params },
        capabilities,
        deps.registry,
        traceparent,
        dispatch.credential?.values.arguments,
      );
      const first = await connection.request({ ...request, txnToken }, hooks);
      const answer = call.settles ? await settleTask(connection, first, capabilities, hooks) : first;
      await passing.done();
      const wanted = inputWanted(connection, call, answer);
      if (!wanted || (agent.endRound && !isGrave(server, call))) return answer;
      if (round >= doorLimits.inputRounds) throw tooManyRounds();
      const inputResponses = await asks.askAll(agent, at, wanted.inputRequests, signal);
      params = {
        ...sent.params,
        inputResponses,
        ...(wanted.state !== null && { requestState: wanted.state }),
      };
    }
  }

  /** The state of a task is what its own call made, and not what this one does. */
  function heardBy({ caller }: AgentSide, { server }: Call, dispatch: Dispatch, { method, params }: ServerMessage) {
    if (method === 'notifications/tasks/status')
      return enforcement.hear(caller, server, params, tasks.startedBy(server, String(params.taskId)));
    // Said of the server and not of this call: heard where it is passed on.
    return passedOn.has(method) ? heardOf(dispatch, params, method) : params;
  }

  function signFor(
    { caller }: AgentSide,
    call: Call,
    { actionId, tool, arguments: given, approval }: Dispatch,
    audience: string,
  ): string {
    const { method: operation, name } = call;
    const { ref, digest: definition } = tool;
    return deps.txnTokens.sign({
      actionId,
      caller,
      operation,
      tool: ref,
      definition,
      name,
      arguments: given,
      approval,
      audience,
    });
  }

  function passOn(connection: UpstreamConnection, agent: AgentSide, call: Call, message: ServerMessage): void {
    const { method, params } = message;
    switch (method) {
      case 'notifications/progress':
        if (agent.progressToken !== undefined && params.progressToken === agent.progressToken)
          agent.notify(method, paramsOut(agent.view, call.server, params));
        return;
      case 'notifications/message':
        if (levelPasses(params.level, agent.logLevel)) agent.notify(method, paramsOut(agent.view, call.server, params));
        return;
      case 'notifications/elicitation/complete':
        if (agent.era === '2025-11-25') agent.notify(method, params);
        return;
      case 'notifications/tasks/status':
        if (agent.era === '2025-11-25' && tasks.owns(agent.caller, call.server, String(params.taskId)))
          agent.notify(method, paramsOut(agent.view, call.server, params));
        return;
      default:
        connections.unsolicited(connection, call.server, message);
    }
  }
}

/**
 * A call that a person approves is one dispatch (law 4), so its rounds stay within it: it is held open here, where calls that need
 * nobody leave the rounds to the client.
 */
function isGrave({ tools, manifest }: RegisteredServer, { method, name }: Call): boolean {
  const feature = method === 'prompts/get' ? manifest.prompts : manifest.resources;
  return ((method === 'tools/call' ? tools.get(name) : feature)?.tier ?? 4) >= 3;
}

/** Its arguments are those that were decided on, where that changed them. */
function asDecided(call: Call, { arguments: decided }: Dispatch): Call {
  if (call.method !== 'tools/call' || decided === call.arguments) return call;
  return { ...call, arguments: asObject(decided), params: { ...call.params, arguments: decided } };
}

/** A task of the gate's own asks for one where its server does not do it otherwise (2025-11-25). */
function asWanted({ tools }: RegisteredServer, call: Call): Call {
  if (!call.settles || taskSupportOf(tools.get(call.name)?.definition) !== 'required') return call;
  return { ...call, params: { ...call.params, task: {} } };
}

/** What of a call's notifications goes to its agent. */
const passedOn = new Set(['notifications/progress', 'notifications/message', 'notifications/elicitation/complete']);
