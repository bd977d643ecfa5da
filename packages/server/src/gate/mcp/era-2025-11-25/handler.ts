import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from '../../../identity/index.ts';
import { GatehouseError, type Json } from '../../../platform/index.ts';
import { JsonRpcFailure } from '../../upstream/types.ts';
import type { Door } from '../door-parts.ts';
import { accepts, sendEmpty, sendError } from '../http-edge.ts';
import { doorLimits } from '../limits.ts';
import { InvalidMessage, readMessage } from '../parse.ts';
import { codes, type RpcMessage, type RpcNotification, type RpcRequest } from '../rpc.ts';
import type { View } from '../view.ts';
import { createAgentSide } from './agent-side.ts';
import { createExchange, type Exchange } from './exchange.ts';
import { initialize } from './initialize.ts';
import { answerRequest, takeNotification } from './requests.ts';
import { type Session, versions } from './session.ts';
import type { Sessions } from './sessions.ts';

/** One HTTP request of a client that was let in: who it is, and which servers it sees. */
export interface Visit {
  request: IncomingMessage;
  response: ServerResponse;
  caller: Caller;
  view: View;
}

/** Streamable HTTP with sessions (2025-11-25, 2025-06-18, 2025-03-26). */
export function createEra2025(door: Door, sessions: Sessions) {
  async function post(visit: Visit, body: Json): Promise<void> {
    const { request, response } = visit;
    if (!accepts(request.headers.accept, 'application/json', 'text/event-stream'))
      return sendError(response, 406, codes.invalidRequest, 'Accept must list application/json and text/event-stream.');
    if (!Array.isArray(body)) {
      const message = readMessage(body);
      if (message.kind === 'request' && message.method === 'initialize')
        return initialize(door, sessions, visit, message);
      const session = sessionOf(visit);
      if (session) return take(session, visit, [message], false);
      return;
    }
    const session = sessionOf(visit);
    if (!session) return;
    if (session.version !== '2025-03-26')
      throw new InvalidMessage('Batches were removed from MCP in 2025-06-18. Send one message per request.');
    if (body.length === 0 || body.length > doorLimits.batchMessages)
      throw new InvalidMessage(`A batch holds 1 to ${doorLimits.batchMessages} messages.`);
    const messages = body.map(readMessage);
    if (messages.some((message) => message.kind === 'request' && message.method === 'initialize'))
      throw new InvalidMessage('"initialize" cannot be part of a batch.');
    return take(session, visit, messages, true);
  }

  async function take(
    session: Session,
    { response, caller }: Visit,
    messages: RpcMessage[],
    batch: boolean,
  ): Promise<void> {
    const requests: RpcRequest[] = [];
    for (const message of messages) {
      if (message.kind === 'request') requests.push(message);
      else if (message.kind === 'response') session.answered(message.id, message.answer);
      else await heed(session, message);
    }
    if (requests.length === 0) return sendEmpty(response, 202);
    const exchange = createExchange(response, session, requests.length, batch);
    await Promise.all(requests.map((request) => run(session, caller, exchange, request)));
  }

  /** A notification is taken whatever becomes of it: nobody waits for an answer. */
  async function heed(session: Session, { method, params }: RpcNotification): Promise<void> {
    try {
      await takeNotification(door, session, method, params);
    } catch (error) {
      door.log.info('a notification could not be passed on', { method, error });
    }
  }

  async function run(
    session: Session,
    caller: Caller,
    exchange: Exchange,
    { id, method, params }: RpcRequest,
  ): Promise<void> {
    const agent = createAgentSide(door, session, caller, exchange, method, params);
    let answered = false;
    const answer = (given: Parameters<Exchange['answer']>[1]) => {
      if (!answered) exchange.answer(id, given);
      answered = true;
    };
    try {
      const done = session.begin({
        id,
        stream: exchange.opened,
        end(reason) {
          answer({ error: { code: codes.ended, message: `The session has ended: ${reason}` } });
          agent.abort(reason);
        },
        cancel() {
          // The client does not want an answer any more; it gets an error all the same, which ends its stream.
          agent.abort('The client cancelled the request.');
        },
      });
      try {
        answer(await answerRequest(door, session, agent, method, params));
      } finally {
        done();
        sessions.touch(session);
      }
    } catch (error) {
      answer({ error: toRpcError(error) });
    }
  }

  /** The session of this visit, or undefined when the client was told that there is none. */
  function sessionOf({ request, response, caller, view }: Visit): Session | undefined {
    const id = request.headers['mcp-session-id'];
    const version = request.headers['mcp-protocol-version'];
    if (version !== undefined && !(versions as readonly unknown[]).includes(version)) {
      sendError(
        response,
        400,
        codes.invalidRequest,
        `Unsupported MCP-Protocol-Version. Known: ${versions.join(', ')}.`,
      );
      return undefined;
    }
    if (typeof id !== 'string') {
      sendError(response, 400, codes.invalidRequest, 'The Mcp-Session-Id header is missing. Send "initialize" first.');
      return undefined;
    }
    const session = sessions.find(id, caller, view);
    if (!session) sendError(response, 404, codes.invalidRequest, 'There is no such session. Send "initialize" again.');
    return session;
  }

  async function get(visit: Visit): Promise<void> {
    const { request, response, caller } = visit;
    if (!accepts(request.headers.accept, 'text/event-stream'))
      return sendError(response, 406, codes.invalidRequest, 'Accept must list text/event-stream.');
    const session = sessionOf(visit);
    if (!session) return;
    const last = request.headers['last-event-id'];
    const position = typeof last === 'string' ? /^([a-z0-9]{1,16})-(\d{1,15})$/.exec(last) : null;
    const stream = last === undefined ? session.unsolicited : session.streamOf(position?.[1] ?? '');
    if (!stream?.attach(response, position ? Number(position[2]) : null))
      return sendError(response, 404, codes.invalidRequest, 'What came after this event is no longer kept.');
    // A stream lives no longer than the token it was opened with; the client comes back with a newer one.
    const left = Math.max(0, caller.expiresAt - door.clock.now());
    const timer = setTimeout(() => stream.rest(), Math.min(left, 2 ** 31 - 1));
    response.once('close', () => {
      clearTimeout(timer);
      sessions.touch(session);
    });
  }

  async function remove(visit: Visit): Promise<void> {
    const session = sessionOf(visit);
    if (!session) return;
    session.end('The client ended it.');
    sendEmpty(visit.response, 204);
  }

  function toRpcError(error: unknown): { code: number; message: string } {
    if (error instanceof JsonRpcFailure) return error.error;
    if (error instanceof GatehouseError) {
      const code = error.kind === 'too-many' ? codes.limit : codes.internal;
      return { code, message: error.message };
    }
    door.log.error('a request failed inside the MCP door', { error });
    return { code: codes.internal, message: 'Something failed inside Gatehouse; the server log has the cause.' };
  }

  return { post, get, remove };
}
