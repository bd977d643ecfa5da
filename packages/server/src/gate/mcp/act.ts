import { type Dispatch, type EarlierCall, NotSent, type Sent } from '../../enforcement/index.ts';
import { isJsonObject, type Json, readTraceparent } from '../../platform/index.ts';
import { JsonRpcFailure, type UpstreamAnswer, type UpstreamConnection, UpstreamFailure } from '../upstream/types.ts';
import type { AgentSide, Call } from './agent-side.ts';
import { createExchange, type ExchangeDependencies } from './exchange.ts';
import { createFinish } from './finish.ts';
import { asObject } from './grants.ts';
import { notSentAnswer, refusedAnswer, unknownAnswer, withheldAnswer } from './replies.ts';
import { codes, errorAnswer } from './rpc.ts';

export interface ActDependencies extends ExchangeDependencies {
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
  const exchange = createExchange(deps);
  const finish = createFinish(deps);

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
}

/** A call that is to run as a task (2025-11-25) is answered with one, so that anything else is an error and no result. */
const answerShape = ({ method, params }: Pick<Call, 'method' | 'params'>) =>
  isJsonObject(params.task) ? 'tasks/create' : method;

const sideOf = ({ caller, capabilities, session, audience }: AgentSide) => ({
  caller,
  capabilities,
  session,
  audience,
});

const isOfTask = (method: string) => method.startsWith('tasks/') && method !== 'tasks/list';
