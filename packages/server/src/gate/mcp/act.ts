import type { Approvals } from '../../approvals/index.ts';
import { type Dispatch, type EarlierCall, type Enforcement, NotSent, type Sent } from '../../enforcement/index.ts';
import type { TxnTokens } from '../../identity/index.ts';
import {
  isJsonObject,
  type Json,
  type JsonObject,
  type Log,
  readTraceparent,
  traceparentOf,
} from '../../platform/index.ts';
import type { RegisteredServer, Registry } from '../../registry/index.ts';
import {
  type JsonRpcError,
  JsonRpcFailure,
  type ServerMessage,
  type UpstreamAnswer,
  type UpstreamConnection,
  UpstreamFailure,
} from '../upstream/types.ts';
import { type AgentSide, type Call, levelPasses } from './agent-side.ts';
import type { Asks } from './ask.ts';
import type { Connections } from './connections.ts';
import { asObject, grantedCapabilities, taskSupportOf, tasksExtension } from './grants.ts';
import { doorLimits } from './limits.ts';
import type { OwnedTasks } from './owned-tasks.ts';
import { createPassing, heardOf } from './passing.ts';
import { notSentAnswer, refusedAnswer, unknownAnswer, withheldAnswer } from './replies.ts';
import { codes, errorAnswer } from './rpc.ts';
import { settleTask } from './settle-task.ts';
import { toUpstream } from './to-upstream.ts';
import { urlElicitationsOf } from './url-elicitations.ts';
import { errorDataOut, paramsOut, resultOut } from './view.ts';

export interface ActDependencies {
  enforcement: Enforcement;
  txnTokens: TxnTokens;
  approvals: Approvals;
  registry: Registry;
  connections: Connections;
  asks: Asks;
  tasks: OwnedTasks;
  log: Log;
  publicUrl: string;
}

export type Act = (agent: AgentSide, call: Call) => Promise<UpstreamAnswer>;

/** Of a call that was to run under one approval, or for one task: it ran before or is not wanted; what it was asked under is not what would be decided now. */
export const gone = errorAnswer(codes.refused, 'The call was let through before.', { code: 'approval.used' });
export const superseded = errorAnswer(
  codes.refused,
  'Refused by Gatehouse (approval.superseded): what people were asked about has changed since. Call again, and they are asked anew.',
  { code: 'approval.superseded' },
);

/** An approval that was given and used up in the same moment is asked for again, but not for ever. */
const maxDecisions = 8;

/**
 * One action from the agent's request to its answer. Deciding and recording are enforcement's; here an outcome becomes wire, and
 * `send` is what enforcement lets through.
 */
export function createAct(deps: ActDependencies): Act {
  const { enforcement, connections, asks, tasks } = deps;

  return async function act(agent, call) {
    const { method, server, name } = call;
    const shape = answerShape(call);
    let actionId = call.actionId;
    const of = isOfTask(method) ? tasks.startedBy(server, name) : undefined;
    for (let decisions = 0; decisions < maxDecisions; decisions++) {
      const sending = createSending(agent, call);
      const action = {
        caller: agent.caller,
        operation: method,
        server,
        name,
        arguments: call.arguments,
        of,
        actionId,
        ...(call.under !== undefined && { under: call.under }),
        ...(call.stands && { stands: call.stands }),
        // What a message says of its trace goes before what its transport says (OpenTelemetry's conventions for MCP).
        trace: readTraceparent(asObject(call.params._meta).traceparent),
      };
      const outcome = await enforcement.enforce(action, sending.send);
      actionId = outcome.actionId;
      switch (outcome.kind) {
        case 'done':
          if (outcome.sent.body === null) return notSentAnswer(shape, outcome.sent.detail ?? '', actionId);
          return finish(agent, call, actionId, sending.answerOf(outcome.sent), {
            era: sending.era(),
            of: outcome.call ?? sending.call(),
          });
        case 'refused':
          return refusedAnswer(shape, outcome.decision, actionId);
        case 'unknown':
          return unknownAnswer(shape, outcome.detail, actionId, deps.publicUrl);
        case 'gone':
          return outcome.superseded ? superseded : gone;
        case 'withheld':
          return withheldAnswer(shape, outcome.detail, actionId);
        case 'pending': {
          const answer = await agent.awaitApproval(outcome.approval, actionId, call);
          if (answer) return answer;
        }
      }
    }
    return errorAnswer(codes.internal, 'The approval was used up by another call. Send the request again.');
  };

  function createSending(agent: AgentSide, call: Call) {
    let connection: UpstreamConnection | undefined;
    let protocolError = false;
    let of: EarlierCall | undefined;
    const at = { server: call.server, name: call.name };

    async function send(dispatch: Dispatch): Promise<Sent> {
      of = dispatch.call;
      const joined = AbortSignal.any([dispatch.signal, agent.signal]);
      try {
        connection = await connections.get(
          sideOf(agent),
          call.server,
          (message, aborted) => asks.ask(agent, { ...at, connection, of }, message, aborted),
          dispatch.credential,
        );
        const answer = await exchange(connection, agent, call, dispatch, joined);
        protocolError = 'error' in answer;
        if ('error' in answer)
          return {
            result: 'failure',
            body: { ...answer.error },
            detail: `${answer.error.code}: ${answer.error.message}`,
          };
        return { result: answer.result.isError === true ? 'failure' : 'success', body: answer.result };
      } catch (error) {
        if (error instanceof UpstreamFailure && !error.mayHaveRun) throw new NotSent(error.message, { cause: error });
        if (error instanceof JsonRpcFailure) {
          protocolError = true;
          return { result: 'failure', body: { ...error.error }, detail: error.error.message };
        }
        throw error;
      }
    }

    return {
      send,
      /** What was let through just now. */
      call: () => of,
      era: () => connection?.era ?? agent.era,
      answerOf(sent: Sent): UpstreamAnswer {
        const body = asObject(sent.body);
        return protocolError
          ? {
              error: {
                code: Number(body.code),
                message: String(body.message),
                ...('data' in body && { data: body.data as Json }),
              },
            }
          : { result: body };
      },
    };
  }

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

  /** What becomes of the server's answer on its way to the agent. */
  async function finish(
    agent: AgentSide,
    call: Call,
    actionId: string,
    answer: UpstreamAnswer,
    { era, of }: { era: UpstreamConnection['era']; of: EarlierCall | undefined },
  ): Promise<UpstreamAnswer> {
    const wanted = inputWanted({ era }, call, answer) ?? urlElicitationsOf(agent, answer);
    if (wanted) {
      try {
        const inputRequests = await asks.release(
          agent,
          { server: call.server, name: call.name, of },
          wanted.inputRequests,
        );
        if (!agent.endRound) return withElicitations(answer, inputRequests);
        const round = (call.round ?? 0) + 1;
        if (round > doorLimits.inputRounds) throw tooManyRounds();
        return agent.endRound({ actionId, round, state: wanted.state, inputRequests });
      } catch (error) {
        if (error instanceof JsonRpcFailure) return { error: error.error };
        throw error;
      }
    }
    if ('error' in answer) return { error: errorOut(agent, call.server, answer.error) };
    const taskId = asObject(answer.result.task).taskId ?? answer.result.taskId;
    if (call.method === 'tools/call' && typeof taskId === 'string' && of)
      tasks.own(agent.caller, call.server, taskId, of);
    if (call.method === 'tasks/get' && isJsonObject(answer.result.inputRequests))
      return { result: typedResult(agent, call, await permittedTask(agent, call, answer.result)) };
    // Anywhere else the word means nothing, so that no request reaches a client undecided.
    const { inputRequests: _, ...result } = answer.result;
    return { result: typedResult(agent, call, resultOut(agent.view, call.server, call.method, result)) };
  }

  /** What a task asks by being looked at (SEP-2663) is decided on when it is first seen; what is refused is not shown. */
  async function permittedTask(agent: AgentSide, call: Call, task: JsonObject): Promise<JsonObject> {
    const known = tasks.asked(call.server, call.name);
    const at = { server: call.server, name: call.name, of: tasks.startedBy(call.server, call.name) };
    const inputRequests: JsonObject = {};
    for (const [key, request] of Object.entries(asObject(task.inputRequests))) {
      // As it was decided on: what the server makes of the same key later is another request, which nobody has seen.
      const before = known.get(key);
      if (before === undefined && known.isFull()) continue;
      const shown =
        before !== undefined
          ? before
          : known.keep(
              key,
              await asks.release(agent, at, { [key]: request }).then((each) => each[key] ?? null, refusedAs(null)),
            );
      if (shown) inputRequests[key] = shown;
    }
    return resultOut(agent.view, call.server, call.method, { ...task, inputRequests });
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

/** A call that is to run as a task (2025-11-25) is answered with one, so that anything else is an error and no result. */
const answerShape = ({ method, params }: Pick<Call, 'method' | 'params'>) =>
  isJsonObject(params.task) ? 'tasks/create' : method;

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

const sideOf = ({ caller, capabilities, session, audience }: AgentSide) => ({
  caller,
  capabilities,
  session,
  audience,
});

/** What of a call's notifications goes to its agent. */
const passedOn = new Set(['notifications/progress', 'notifications/message', 'notifications/elicitation/complete']);

const isOfTask = (method: string) => method.startsWith('tasks/') && method !== 'tasks/list';

const mayWantInput = ['tools/call', 'prompts/get', 'resources/read'];

/**
 * The input requests of an `input_required` result. INVARIANT: only a 2026-07-28 server can give one, and only for the three
 * methods that allow it; from any other the word means nothing, so that no request reaches a client undecided.
 */
function inputWanted(
  { era }: Pick<UpstreamConnection, 'era'>,
  { method }: Call,
  answer: UpstreamAnswer,
): { inputRequests: JsonObject; state: string | null } | undefined {
  if (era !== '2026-07-28' || !('result' in answer) || answer.result.resultType !== 'input_required') return undefined;
  if (!mayWantInput.includes(method))
    throw new JsonRpcFailure({
      code: codes.internal,
      message: `The server wants input for ${method}, which cannot have any.`,
    });
  const { inputRequests, requestState } = answer.result;
  return { inputRequests: asObject(inputRequests), state: typeof requestState === 'string' ? requestState : null };
}

/** `resultType` as the agent's era has it. A type that the agent did not ask for is not passed on. */
function typedResult(agent: AgentSide, call: Call, result: JsonObject): JsonObject {
  const { resultType, ...rest } = result;
  if (agent.era === '2025-11-25') return rest;
  const extensions = asObject(agent.capabilities.extensions);
  const isTask = resultType === 'task' && call.method === 'tools/call' && isJsonObject(extensions[tasksExtension]);
  const typed: JsonObject = { ...rest, resultType: isTask ? 'task' : 'complete' };
  if (call.method !== 'resources/read') return typed;
  // Another agent's right to read it is another decision, so nobody may keep it for more than one.
  return { ...typed, ttlMs: typeof rest.ttlMs === 'number' ? rest.ttlMs : 0, cacheScope: 'private' };
}

/** 2026-07-28 has one code for what is not there, and forbids the older one. */
function errorOut(agent: AgentSide, server: string, error: JsonRpcError): JsonRpcError {
  const code = agent.era === '2026-07-28' && error.code === -32002 ? codes.invalidParams : error.code;
  const { data } = error;
  return { ...error, code, ...(data !== undefined && { data: errorDataOut(agent.view, server, data) }) };
}

/** An error with the addresses that it names as they may be shown. */
function withElicitations(answer: UpstreamAnswer, inputRequests: JsonObject): UpstreamAnswer {
  if (!('error' in answer) || !isJsonObject(answer.error.data)) return answer;
  const elicitations = Object.values(inputRequests).map((request) => asObject(asObject(request).params));
  return { error: { ...answer.error, data: { ...answer.error.data, elicitations } } };
}

function refusedAs<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof JsonRpcFailure) return value;
    throw error;
  };
}

const tooManyRounds = () =>
  new JsonRpcFailure({ code: codes.limit, message: `The server asked for input ${doorLimits.inputRounds} times.` });
