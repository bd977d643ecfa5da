import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { GatehouseRequestError } from '@gatehouse/sdk/errors';
import { readEventStream } from '@gatehouse/sdk/event-stream';
import type { Gate } from './gate.ts';
import { readLines } from './lines.ts';
import { errorText, type Id, isRecord, type Message, readMessage } from './message.ts';
import { modernHeaders, rememberTools, type ToolParameters } from './modern-headers.ts';

/** Codes that the gate gives, too (docs/reference/errors.md); these are the bridge's own answers. */
const codes = {
  parse: -32700,
  headerMismatch: -32020,
  refused: 1001,
  unknown: 1003,
  notSent: 1004,
  unauthenticated: 1006,
  limit: 1007,
};
const RECONNECT_MS = 1_000;
const MAX_RECONNECT_MS = 15_000;
const RESUME_ATTEMPTS = 5;

export interface BridgeOptions {
  input: Readable;
  /** Resolves when there is room for more. */
  write(line: string): Promise<void>;
  gate: Gate;
  note(text: string): void;
  /** Ends everything at once. */
  signal: AbortSignal;
}

interface Session {
  id: string;
  version: string;
  /** Ends its stream of unsolicited messages. */
  stop: AbortController;
}

/**
 * Passes the messages of one local client (stdio) to the MCP door (streamable HTTP) and back, unchanged, in either era. It decides
 * nothing, and answers by itself only what could not be delivered. Resolves when the input has ended and every answer is there.
 */
export async function runBridge({ input, write, gate, note, signal }: BridgeOptions): Promise<void> {
  const tools: ToolParameters = new Map();
  const running = new Map<Id, { abort: AbortController; isModern: boolean; isListen: boolean; cancelled: boolean }>();
  const pending = new Set<Promise<void>>();
  let initialize: Message | undefined;
  let session: Session | undefined;
  let renewing: Promise<Session | undefined> | undefined;

  // One after the other until each has been taken: an answer must not overtake the question, nor a call the initialization.
  for await (const line of readLines(input)) {
    if (signal.aborted) break;
    if (line === null) await write(errorText(null, codes.limit, 'The message is too large, and was dropped.'));
    else if (line.trim() !== '') await take(line);
  }
  for (const { isListen, abort } of running.values()) if (isListen) abort.abort();
  await Promise.race([Promise.all(pending), aborted(signal)]);
  await endSession();

  async function take(line: string): Promise<void> {
    const message = readMessage(line.endsWith('\r') ? line.slice(0, -1) : line);
    if (!message) return write(errorText(null, codes.parse, 'This is no JSON-RPC message.'));
    if (message.kind === 'notification' && message.method === 'notifications/cancelled' && (await cancel(message)))
      return;
    if (message.kind === 'request') {
      const done = request(message).finally(() => pending.delete(done));
      pending.add(done);
      // Nothing else makes sense before the session is there.
      if (message.method === 'initialize') await done;
      return;
    }
    await notify(message);
  }

  /** True when it was all that is to do: in the stateless era, closing the stream cancels. */
  async function cancel({ params }: Message): Promise<boolean> {
    const id = params.requestId;
    const found = typeof id === 'string' || typeof id === 'number' ? running.get(id) : undefined;
    if (!found) return false;
    found.cancelled = true;
    if (found.isModern) found.abort.abort();
    return found.isModern;
  }

  async function request(message: Message): Promise<void> {
    const id = message.id as Id;
    const isModern = message.version !== undefined;
    const entry = {
      abort: new AbortController(),
      isModern,
      isListen: message.method === 'subscriptions/listen',
      cancelled: false,
    };
    running.set(id, entry);
    let wasSent = false;
    let isAnswered = false;
    const deliver = async (text: string) => {
      const answer = parse(text);
      if (isRecord(answer) && answer.id === id && !('method' in answer)) {
        isAnswered = true;
        if (message.method === 'tools/list') rememberTools(answer.result, tools);
        // Who has cancelled wants no answer any more.
        if (entry.cancelled) return;
      }
      await write(oneLine(text));
    };
    try {
      const stop = AbortSignal.any([signal, entry.abort.signal]);
      const response = isModern ? await postModern(message, stop) : await postWithSession(message, stop);
      wasSent = true;
      if (message.method === 'initialize') openSession(message, response);
      await readAnswer(response, id, deliver, isModern ? null : stop);
      if (!isAnswered && !stop.aborted) await deliver(errorText(id, codes.unknown, lost(message)));
    } catch (error) {
      if (signal.aborted || entry.cancelled || entry.abort.signal.aborted) return;
      await write(failureText(id, message, error, wasSent));
    } finally {
      if (running.get(id) === entry) running.delete(id);
    }
  }

  async function notify(message: Message): Promise<void> {
    try {
      const isModern = message.version !== undefined;
      const response = isModern ? await postModern(message, signal) : await postWithSession(message, signal);
      // A batch (2025-03-26) may be answered by a stream.
      if (message.kind === 'batch') await readAnswer(response, null, (text) => write(oneLine(text)), null);
      else await response.body?.cancel();
      if (message.method === 'notifications/initialized' && session) void listen(session);
    } catch (error) {
      if (!signal.aborted) note(`${message.method || message.kind} was not delivered: ${messageOf(error)}`);
    }
  }

  function post(text: string, headers: Record<string, string>, stop: AbortSignal): Promise<Response> {
    const all = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers };
    return gate.send({ method: 'POST', headers: all, body: text, signal: stop });
  }

  async function postModern(message: Message, stop: AbortSignal): Promise<Response> {
    const response = await post(message.text, modernHeaders(message, tools), stop);
    if (response.status !== 400 || message.method !== 'tools/call') return response;
    const refusal = parse(await response.clone().text());
    const isMismatch = isRecord(refusal) && isRecord(refusal.error) && refusal.error.code === codes.headerMismatch;
    if (!isMismatch) return response;
    // Refused before anything was decided: a client that keeps its list over restarts need not have asked us for it.
    await response.body?.cancel();
    await readTools(message, stop);
    return post(message.text, modernHeaders(message, tools), stop);
  }

  async function readTools(like: Message, stop: AbortSignal): Promise<void> {
    let cursor: unknown;
    do {
      const params = { _meta: like.params._meta, ...(cursor !== undefined && { cursor }) };
      const text = JSON.stringify({ jsonrpc: '2.0', id: 'gatehouse-tools', method: 'tools/list', params });
      const asked = readMessage(text) as Message;
      const response = await post(text, modernHeaders(asked, tools), stop);
      let result: unknown;
      await readAnswer(
        response,
        null,
        async (answer) => {
          const value = parse(answer);
          if (isRecord(value) && 'result' in value) result = value.result;
        },
        null,
      );
      rememberTools(result, tools);
      cursor = isRecord(result) ? result.nextCursor : undefined;
    } while (typeof cursor === 'string');
  }

  async function postWithSession(message: Message, stop: AbortSignal): Promise<Response> {
    if (message.method === 'initialize') return post(message.text, {}, stop);
    const used = session;
    const response = await post(message.text, used ? sessionHeaders(used) : {}, stop);
    if (response.status !== 404 || !used || !initialize) return response;
    // The gate does not know the session any more, so it has not taken the message.
    const renewed = await renew(used);
    if (!renewed) return response;
    await response.body?.cancel();
    return post(message.text, sessionHeaders(renewed), stop);
  }

  function openSession(message: Message, response: Response): void {
    const id = response.headers.get('mcp-session-id');
    if (!response.ok || id === null) return;
    session?.stop.abort();
    initialize = message;
    session = { id, version: versionOf(message), stop: new AbortController() };
  }

  /** The same initialization once more, in the client's name; it has its answer already. */
  function renew(lostOne: Session): Promise<Session | undefined> {
    if (session !== lostOne) return Promise.resolve(session);
    renewing ??= (async () => {
      const again = initialize as Message;
      const response = await post(again.text, {}, signal);
      openSession(again, response);
      await readAnswer(response, null, async (text) => learnVersion(text), null);
      if (!session || session === lostOne) return undefined;
      note('the session was lost and has been opened again');
      const initialized = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
      await (await post(initialized, sessionHeaders(session), signal)).body?.cancel();
      void listen(session);
      return session;
    })().finally(() => {
      renewing = undefined;
    });
    return renewing;
  }

  function learnVersion(text: string): void {
    const answer = parse(text);
    if (session && isRecord(answer) && isRecord(answer.result) && typeof answer.result.protocolVersion === 'string')
      session.version = answer.result.protocolVersion;
  }

  /** What the server says without being asked (2025 era), for as long as the session lives. */
  async function listen(own: Session): Promise<void> {
    const stop = AbortSignal.any([signal, own.stop.signal]);
    let last: string | null = null;
    let waitMs = RECONNECT_MS;
    while (!stop.aborted && session === own) {
      try {
        const response = await resume(last, own, stop);
        if (response.status === 404) {
          await response.body?.cancel();
          await renew(own);
          return;
        }
        if (!response.ok || !response.body) {
          await response.body?.cancel();
          if (response.status === 405) return;
        } else {
          waitMs = RECONNECT_MS;
          for await (const event of readEventStream(response.body)) {
            last = event.id ?? last;
            waitMs = event.retryMs ?? waitMs;
            if (event.data !== '') await write(oneLine(event.data));
          }
        }
      } catch (error) {
        if (stop.aborted) return;
        waitMs = Math.min(waitMs * 2, MAX_RECONNECT_MS);
        if (!(error instanceof GatehouseRequestError)) note(`the stream of messages was cut: ${messageOf(error)}`);
      }
      await sleep(waitMs, undefined, { signal: stop }).catch(() => undefined);
    }
  }

  function resume(last: string | null, own: Session, stop: AbortSignal): Promise<Response> {
    const headers = {
      accept: 'text/event-stream',
      ...sessionHeaders(own),
      ...(last !== null && { 'last-event-id': last }),
    };
    return gate.send({ method: 'GET', headers, signal: stop });
  }

  /** `resumable`: where a broken stream may be taken up again (2025 era), and until when. */
  async function readAnswer(
    response: Response,
    id: Id | null,
    deliver: (text: string) => Promise<void>,
    resumable: AbortSignal | null,
  ): Promise<void> {
    const type = response.headers.get('content-type') ?? '';
    if (!type.startsWith('text/event-stream')) {
      const text = await response.text();
      if (text === '') return;
      const answer = type.startsWith('application/json') ? parse(text) : undefined;
      if (answer === undefined) throw new Error(`the server answered ${response.status} with no JSON-RPC message`);
      // A refusal before the body was read names no request; here it is known which one it is for.
      const isNameless = isRecord(answer) && answer.id === null && id !== null;
      const learned = isNameless ? JSON.stringify({ ...answer, id }) : text;
      learnVersionFrom(learned, id);
      return deliver(learned);
    }
    let current: Response | undefined = response;
    let last: string | null = null;
    let retryMs = RECONNECT_MS;
    let isDone = false;
    for (let attempt = 0; current?.body && attempt <= RESUME_ATTEMPTS; attempt++) {
      try {
        for await (const event of readEventStream(current.body)) {
          last = event.id ?? last;
          retryMs = event.retryMs ?? retryMs;
          if (event.data === '') continue;
          attempt = 0;
          const message = parse(event.data);
          if (id === null || (isRecord(message) && message.id === id && !('method' in message))) isDone = true;
          learnVersionFrom(event.data, id);
          await deliver(event.data);
        }
      } catch (error) {
        if (!resumable || resumable.aborted || last === null) throw error;
      }
      if (isDone || last === null || !resumable || resumable.aborted || !session) return;
      await sleep(retryMs, undefined, { signal: resumable }).catch(() => undefined);
      current = await resume(last, session, resumable).catch(() => undefined);
      if (current && !current.ok) return void (await current.body?.cancel());
    }
  }

  function learnVersionFrom(text: string, id: Id | null): void {
    if (id !== null && id === initialize?.id) learnVersion(text);
  }

  async function endSession(): Promise<void> {
    const own = session;
    if (!own) return;
    own.stop.abort();
    session = undefined;
    const patience = AbortSignal.timeout(1_000);
    await gate
      .send({ method: 'DELETE', headers: sessionHeaders(own), signal: patience })
      .then((response) => response.body?.cancel())
      .catch((error: unknown) => note(`the session was not ended: ${messageOf(error)}`));
  }
}

function failureText(id: Id, message: Message, error: unknown, wasSent: boolean): string {
  if (error instanceof GatehouseRequestError) {
    const isAway = error.code.startsWith('server.') || error.code === 'temporarily_unavailable';
    return isAway
      ? errorText(
          id,
          codes.notSent,
          `${error.message} Nothing was sent; it is safe to try again once the server runs.`,
          {
            state: 'not-sent',
          },
        )
      : errorText(id, codes.unauthenticated, `Gatehouse gives this agent no task: ${error.message}`, {
          code: error.code,
        });
  }
  const detail = messageOf(error);
  return errorText(id, codes.unknown, `${lost(message)} (${detail}${wasSent ? '' : ', before an answer began'})`, {
    state: 'unknown',
  });
}

function lost({ method }: Message): string {
  return method === 'tools/call'
    ? 'The connection to Gatehouse was lost, and nobody knows whether this ran. Do not repeat it blindly; look at the state it would have changed first.'
    : 'The connection to Gatehouse was lost before the answer came. Try again.';
}

function versionOf({ params }: Message): string {
  return typeof params.protocolVersion === 'string' ? params.protocolVersion : '2025-11-25';
}

function sessionHeaders({ id, version }: Session): Record<string, string> {
  return { 'mcp-session-id': id, 'mcp-protocol-version': version };
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** A message is one line over stdio; line ends between its members mean nothing. */
function oneLine(text: string): string {
  return /[\r\n]/.test(text) ? text.replaceAll(/[\r\n]+/g, ' ') : text;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
