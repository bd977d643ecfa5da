import type { Approvals } from '../../approvals/index.ts';
import { type Dispatch, type EarlierCall, type Enforcement, NotSent, type Sent } from '../../enforcement/index.ts';
import type { Json, JsonObject } from '../../platform/index.ts';
import { isJsonObject } from '../../platform/index.ts';
import { type JsonRpcError, JsonRpcFailure, type ServerMessage, type UpstreamConnection } from '../upstream/types.ts';
import type { AgentSide } from './agent-side.ts';
import { askedOperation, clientCan } from './grants.ts';
import { notApprovedAnswer, refusalError } from './replies.ts';
import { codes } from './rpc.ts';

/** What a server asks of the agent's client is an action like a call (law 8): decided on, recorded, then put to the client. */
export interface Asks {
  /** Asks and waits for the answer. Throws JsonRpcFailure when it is refused, impossible, or answered with an error. */
  ask(agent: AgentSide, at: AskedAt, message: ServerMessage, signal: AbortSignal): Promise<JsonObject>;
  /** Asks everything at once; when one thing fails, the rest is taken back. */
  askAll(agent: AgentSide, at: AskedAt, inputRequests: JsonObject, signal: AbortSignal): Promise<JsonObject>;
  /** Decides on requests that go out in an `input_required` result: as they may be shown. Throws JsonRpcFailure when one of them may not. */
  release(agent: AgentSide, at: AskedAt, inputRequests: JsonObject): Promise<JsonObject>;
}

/** The call that the server is busy with. */
export interface AskedAt {
  server: string;
  name: string;
  connection?: UpstreamConnection;
  /** As it was let through: what the server asks may have its data. */
  of?: EarlierCall | undefined;
}

const maxInputRequests = 32;

export function createAsks({ enforcement, approvals }: { enforcement: Enforcement; approvals: Approvals }): Asks {
  async function decided(
    agent: AgentSide,
    { server, name, of }: AskedAt,
    { method, params }: ServerMessage,
    signal: AbortSignal,
    send: (dispatch: Dispatch) => Promise<Sent>,
  ): Promise<Json> {
    const operation = askedOperation(method, params);
    if (operation === undefined || !clientCan(agent.capabilities, operation)) {
      throw new JsonRpcFailure({
        code: codes.methodNotFound,
        message: `The agent's client does not offer ${method}${params.mode === 'url' ? ' in URL mode' : ''}.`,
      });
    }
    let actionId: string | undefined;
    for (;;) {
      const action = { caller: agent.caller, operation, server, name, arguments: params, of, actionId };
      const outcome = await enforcement.enforce(action, send);
      switch (outcome.kind) {
        case 'done':
          return outcome.sent.body;
        case 'refused':
          throw new JsonRpcFailure(refusalError(outcome.decision, outcome.actionId));
        case 'withheld':
        case 'unknown':
        case 'gone':
          throw new JsonRpcFailure({ code: codes.internal, message: `The client did not answer: ${outcome.detail}` });
        case 'pending': {
          actionId = outcome.actionId;
          const settled = await approvals.settled(outcome.approval.id, AbortSignal.any([signal, agent.signal]));
          if (settled.state === 'pending')
            throw new JsonRpcFailure({ code: codes.waiting, message: 'Not approved in time.' });
          const refusal = notApprovedAnswer(method, settled, actionId);
          if (refusal && 'error' in refusal) throw new JsonRpcFailure(refusal.error);
        }
      }
    }
  }

  const asks: Asks = {
    async ask(agent, at, message, signal) {
      let failed: JsonRpcError | undefined;
      const body = await decided(agent, at, message, signal, async (dispatch) => {
        const shown = { ...message, params: shownParams(dispatch, message.params) };
        const answer = await agent.ask(shown, signal, at.connection).catch((error: unknown) => {
          if (error instanceof JsonRpcFailure) return { error: error.error };
          throw error;
        });
        if ('result' in answer) return { result: 'success', body: answer.result };
        failed = answer.error;
        return { result: 'failure', body: null, detail: answer.error.message };
      });
      if (failed) throw new JsonRpcFailure(failed);
      if (!isJsonObject(body)) throw new JsonRpcFailure({ code: codes.internal, message: 'The client was not asked.' });
      return body;
    },

    async askAll(agent, at, inputRequests, signal) {
      const failed = new AbortController();
      const joined = AbortSignal.any([signal, failed.signal]);
      try {
        const answers = readInputRequests(inputRequests).map(async ([key, message]) => [
          key,
          await asks.ask(agent, at, message, joined),
        ]);
        return Object.fromEntries(await Promise.all(answers));
      } finally {
        failed.abort();
      }
    },

    async release(agent, at, inputRequests) {
      const released: JsonObject = {};
      for (const [key, { method, params }] of readInputRequests(inputRequests)) {
        await decided(agent, at, { method, params }, agent.signal, async (dispatch) => {
          if (agent.signal.aborted) throw new NotSent('The client left before it could be asked.');
          released[key] = { method, params: shownParams(dispatch, params) };
          return { result: 'success', body: { given: 'as an input request' } };
        });
      }
      return released;
    },
  };
  return asks;
}

/** What a server writes to a client's user or model is cleaned like a result; an address that the user is to open stays whole. */
function shownParams({ clean }: Dispatch, params: JsonObject): JsonObject {
  const { url, ...rest } = params;
  return { ...clean(rest), ...(url !== undefined && { url }) };
}

/** Throws JsonRpcFailure when there are too many, or one is malformed. */
function readInputRequests(inputRequests: JsonObject): [string, ServerMessage][] {
  const requests = Object.entries(inputRequests);
  if (requests.length > maxInputRequests)
    throw new JsonRpcFailure({
      code: codes.limit,
      message: `The server asks more than ${maxInputRequests} things at once.`,
    });
  return requests.map(([key, request]) => {
    if (!isJsonObject(request) || typeof request.method !== 'string')
      throw new JsonRpcFailure({ code: codes.internal, message: `The server's input request "${key}" is malformed.` });
    return [key, { method: request.method, params: isJsonObject(request.params) ? request.params : {} }];
  });
}
