import type { IncomingHttpHeaders } from 'node:http';
import { GatehouseError, type Json, type JsonObject } from '../../../platform/index.ts';
import { JsonRpcFailure, type UpstreamAnswer } from '../../upstream/types.ts';
import type { Call } from '../agent-side.ts';
import { isListMethod } from '../catalogue.ts';
import type { Door } from '../door-parts.ts';
import type { Visit } from '../era-2025-11-25/handler.ts';
import { tasksExtension } from '../grants.ts';
import { accepts, sendEmpty, sendError } from '../http-edge.ts';
import { doorLimits } from '../limits.ts';
import { parameterMismatch } from '../param-headers.ts';
import { readMessage } from '../parse.ts';
import { actionMethods, readCall } from '../read-call.ts';
import { notApprovedAnswer } from '../replies.ts';
import { type Carry, readInputResponses } from '../request-state.ts';
import { codes, errorAnswer, type RpcRequest } from '../rpc.ts';
import {
  approvalKey,
  canWantInput,
  createAgentSide,
  createLaterSide,
  declaresTasks,
  inputRequired,
  isDeclined,
  type ModernRequest,
} from './agent-side.ts';
import { type Conversation, createConversation } from './conversation.ts';
import { discover, withServerInfo } from './discover.ts';
import { mismatch, Rejection, readEnvelope } from './envelope.ts';
import { createExchange, type Exchange } from './exchange.ts';
import type { Listens } from './listen.ts';
import type { Parking } from './parking.ts';

/** Streamable HTTP without sessions (2026-07-28): every request says all that is needed to answer it. */
export function createEra2026(door: Door, parking: Parking, listens: Listens) {
  async function post(visit: Visit, body: Json): Promise<void> {
    const { request, response, caller, view } = visit;
    if (!accepts(request.headers.accept, 'application/json', 'text/event-stream'))
      return sendError(response, 406, codes.invalidRequest, 'Accept must list application/json and text/event-stream.');
    const message = readMessage(body);
    // The revision has no notifications from client to server over HTTP: one is taken, and means nothing.
    if (message.kind === 'notification') return sendEmpty(response, 202);
    if (message.kind === 'response')
      return sendError(response, 400, codes.invalidRequest, 'In 2026-07-28 a client sends no responses.');
    try {
      const envelope = readEnvelope(request.headers, message);
      const { method, params } = message;
      const asked: ModernRequest = { caller, view, method, params, envelope };
      if (method === 'subscriptions/listen') return await listens.open(visit, message, envelope);
      if (isAction(method)) return await act(visit, message, asked);
      const answer = await answerAtOnce(asked);
      createExchange(response, () => undefined).answer(message.id, answer);
    } catch (error) {
      if (error instanceof Rejection)
        return sendError(response, error.status, error.error.code, error.message, {
          id: message.id,
          data: error.error.data,
        });
      createExchange(response, () => undefined).answer(message.id, { error: toRpcError(error) });
    }
  }

  async function answerAtOnce({ caller, view, method, params, envelope }: ModernRequest): Promise<UpstreamAnswer> {
    if (method === 'server/discover') return { result: await discover(door, caller, view, envelope.capabilities) };
    if (!isListMethod(method)) return noSuchMethod(method);
    await door.look(caller, view);
    const list = await door.catalogue.list(method, caller, view, params.cursor);
    return {
      result: withServerInfo({ ...list, resultType: 'complete', ttlMs: doorLimits.listTtlMs, cacheScope: 'private' }),
    };
  }

  async function act(visit: Visit, { id }: RpcRequest, asked: ModernRequest): Promise<void> {
    const { request, response } = visit;
    const { call, conversation, answer } = await begin(asked, request.headers);
    if (call) door.definitions.used(call.server);
    const exchange = createExchange(response, () =>
      conversation?.abort(new GatehouseError('conflict', 'request.cancelled', 'The client closed the stream.')),
    );
    exchange.answer(id, answer ?? (await converse(asked, conversation as Conversation, exchange)));
  }

  /** Runs until there is an answer, or until the client has to give one. */
  async function converse(
    asked: ModernRequest,
    conversation: Conversation,
    exchange: Exchange,
  ): Promise<UpstreamAnswer> {
    conversation.sink = exchange;
    try {
      const answer = await conversation.next();
      if (answer) return typed(answer);
      const handle = parking.park(asked.caller, conversation);
      if (handle === undefined) {
        conversation.abort(new GatehouseError('too-many', 'parking.full', 'Too many calls wait for input.'));
        return errorAnswer(codes.limit, 'Too many calls wait for input. The call was cancelled.');
      }
      const { caller, view, method, params } = asked;
      const state = door.states.seal(caller, view.server, method, params, { kind: 'parked', call: handle });
      return inputRequired(conversation.open(), state);
    } catch (error) {
      return { error: toRpcError(error) };
    } finally {
      conversation.sink = null;
    }
  }

  /** A new call, the next round of one, or the answer that a retry gets without any call. */
  async function begin(
    asked: ModernRequest,
    headers: IncomingHttpHeaders,
  ): Promise<{ call?: Call; conversation?: Conversation; answer?: UpstreamAnswer }> {
    const { caller, view, method } = asked;
    const { inputResponses: given, requestState, ...rest } = asked.params;
    if (method.startsWith('tasks/')) return beginTaskCall(asked);
    const call = readCall(view, method, rest);
    if (method === 'tools/call') checkParameters(call, headers);
    const inputResponses = readInputResponses(given);
    if (requestState === undefined)
      return start(
        asked,
        { ...call, params: withInput(call.params, inputResponses, null) },
        null,
        carryOf(0, null, inputResponses),
      );
    if (typeof requestState !== 'string' || !canWantInput(method))
      throw new JsonRpcFailure({ code: codes.invalidParams, message: '"requestState" must be a string that we gave.' });

    const round = door.states.open(caller, view.server, method, asked.params, requestState);
    switch (round.kind) {
      case 'server': {
        const { actionId, state } = round;
        const params = withInput(call.params, inputResponses, state);
        return start(
          asked,
          { ...call, params, actionId, round: round.round },
          null,
          carryOf(round.round, state, inputResponses),
        );
      }
      case 'approval': {
        const approval = await door.approvals.get(round.approval);
        const refusal = approval && notApprovedAnswer(method, approval, round.actionId);
        if (refusal) return { call, answer: typed(refusal) };
        const { carry, actionId } = round;
        const params = withInput(call.params, carry?.inputResponses ?? null, carry?.state ?? null);
        const resumed = { approval: round.approval, declined: isDeclined(inputResponses?.[approvalKey]) };
        return start(asked, { ...call, params, actionId, round: carry?.round ?? 0 }, resumed, carry);
      }
      case 'parked': {
        const conversation = parking.take(caller, round.call);
        if (!conversation)
          throw new JsonRpcFailure({
            code: codes.unknown,
            message:
              'The call does not wait any more, and was cancelled. It may have had effects; do not repeat it blindly.',
          });
        conversation.deliver(inputResponses ?? {});
        return { call, conversation };
      }
    }
  }

  function start(
    asked: ModernRequest,
    call: Call,
    resumed: { approval: string; declined: boolean } | null,
    carry: Carry | null,
  ): { call: Call; conversation: Conversation } {
    const conversation = createConversation((own) =>
      // Later, so that whoever runs the conversation is there to hear of it.
      Promise.resolve().then(() => door.act(createAgentSide(door, asked, own, resumed, carry), call)),
    );
    return { call, conversation };
  }

  async function beginTaskCall(
    asked: ModernRequest,
  ): Promise<{ call?: Call; conversation?: Conversation; answer?: UpstreamAnswer }> {
    const { caller, view, method, params, envelope } = asked;
    if (!declaresTasks(envelope.capabilities))
      throw new Rejection(400, {
        code: codes.missingCapability,
        message: `${method} needs the capability ${tasksExtension}.`,
        data: { requiredCapabilities: { extensions: { [tasksExtension]: {} } } },
      });
    const own = await door.waiting.answer(createLaterSide(asked), method, params);
    if (own) return { answer: typed(own) };
    const call = readCall(view, method, params);
    if (!door.tasks.owns(caller, call.server, call.name))
      return { call, answer: errorAnswer(codes.invalidParams, 'There is no such task.') };
    return start(asked, call, null, null);
  }

  function checkParameters(call: Call, headers: IncomingHttpHeaders): void {
    const definition = door.registry.snapshot().servers.get(call.server)?.tools.get(call.name)?.definition;
    const problem = definition ? parameterMismatch(definition, call.arguments, headers) : undefined;
    if (problem !== undefined) throw mismatch(problem);
  }

  function toRpcError(error: unknown): { code: number; message: string } {
    if (error instanceof JsonRpcFailure) return error.error;
    if (error instanceof GatehouseError)
      return { code: error.kind === 'too-many' ? codes.limit : codes.internal, message: error.message };
    door.log.error('a request failed inside the MCP door', { error });
    return { code: codes.internal, message: 'Something failed inside Gatehouse; the server log has the cause.' };
  }

  return { post };
}

/** What the gate itself answers has no `resultType` yet: outcomes look the same in both eras until here. */
function typed(answer: UpstreamAnswer): UpstreamAnswer {
  if ('error' in answer || answer.result.resultType !== undefined) return answer;
  return { result: { ...answer.result, resultType: 'complete' } };
}

const isAction = (method: string) => (actionMethods['2026-07-28'] as readonly string[]).includes(method);

const noSuchMethod = (method: string) =>
  errorAnswer(codes.methodNotFound, `The method ${JSON.stringify(method.slice(0, 100))} does not exist.`);

function withInput(params: JsonObject, inputResponses: JsonObject | null, state: string | null): JsonObject {
  return {
    ...params,
    ...(inputResponses !== null && { inputResponses }),
    ...(state !== null && { requestState: state }),
  };
}

function carryOf(round: number, state: string | null, inputResponses: JsonObject | null): Carry | null {
  return state === null && inputResponses === null && round === 0 ? null : { round, state, inputResponses };
}
