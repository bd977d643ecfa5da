import type { EarlierCall } from '../../enforcement/index.ts';
import { isJsonObject, type JsonObject } from '../../platform/index.ts';
import { type JsonRpcError, JsonRpcFailure, type UpstreamAnswer, type UpstreamConnection } from '../upstream/types.ts';
import type { AgentSide, Call } from './agent-side.ts';
import type { Asks } from './ask.ts';
import { asObject, tasksExtension } from './grants.ts';
import { doorLimits } from './limits.ts';
import type { OwnedTasks } from './owned-tasks.ts';
import { codes } from './rpc.ts';
import { urlElicitationsOf } from './url-elicitations.ts';
import { errorDataOut, resultOut } from './view.ts';
import { inputWanted, tooManyRounds } from './wanted-input.ts';

/** What becomes of a server's answer on its way to the agent. */
export function createFinish({ asks, tasks }: { asks: Asks; tasks: OwnedTasks }) {
  return finish;

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
