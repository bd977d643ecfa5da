import { randomUUID } from 'node:crypto';
import type { Caller } from '../../../identity/index.ts';
import { isJsonObject, type JsonObject, type Log } from '../../../platform/index.ts';
import {
  JsonRpcFailure,
  type ServerMessage,
  type UpstreamAnswer,
  type UpstreamConnection,
} from '../../upstream/types.ts';
import { levelPasses } from '../agent-side.ts';
import type { Audience, ChangedList } from '../connections.ts';
import { doorLimits } from '../limits.ts';
import { createPassing } from '../passing.ts';
import { codes, messageText, type RequestId, requestText } from '../rpc.ts';
import { paramsOut, type View } from '../view.ts';
import { createStream, type Stream } from './stream.ts';

export const versions = ['2025-11-25', '2025-06-18', '2025-03-26'] as const;
export type Version = (typeof versions)[number];

/** One client of one task, from `initialize` to DELETE, expiry or the end of the task. */
export interface Session {
  readonly id: string;
  readonly caller: Caller;
  readonly view: View;
  readonly version: Version;
  readonly capabilities: JsonObject;
  logLevel: string;
  lastUsedAt: number;
  /** Notes a request that runs. Throws JsonRpcFailure when its id is in use or there are too many. */
  begin(request: Running): () => void;
  cancel(id: RequestId): void;
  /** A stream that reaches the client now, or as soon as it listens. */
  liveStream(): Stream;
  openStream(): Stream;
  /** The stream that belongs to no request. */
  readonly unsolicited: Stream;
  streamOf(id: string): Stream | undefined;
  /** Asks the client on a stream. Throws JsonRpcFailure when the client answers with an error, not in time, or never can. */
  ask(
    stream: Stream,
    message: ServerMessage,
    signal: AbortSignal,
    connection?: UpstreamConnection,
  ): Promise<UpstreamAnswer>;
  answered(id: RequestId | null, answer: UpstreamAnswer): void;
  /** Where a progress token that the client was given leads. */
  progressTarget(token: unknown): { connection: UpstreamConnection; token: string | number } | undefined;
  readonly watches: Map<string, { server: string; uri: string; release(): Promise<void> }>;
  readonly audience: Audience & { listChanged(list: ChangedList): void };
  readonly ended: boolean;
  /** No request runs and no stream is open. */
  readonly idle: boolean;
  end(reason: string): void;
}

interface Pending {
  resolve(answer: UpstreamAnswer): void;
}

/** A request that runs: how to end it with an answer, and how to end it without. */
export interface Running {
  id: RequestId;
  stream(): Stream | undefined;
  end(reason: string): void;
  cancel(): void;
}

export interface SessionOptions {
  caller: Caller;
  view: View;
  version: Version;
  capabilities: JsonObject;
  now: number;
  restAfterMs: number;
  onEnd(session: Session): void;
  onLost(session: Session, server: string): void;
  /** What a server says on its own, as this session's agent may hear it. */
  hear(server: string, message: ServerMessage): JsonObject | Promise<JsonObject>;
  log: Log;
}

export function createSession({
  caller,
  view,
  version,
  capabilities,
  now,
  restAfterMs,
  onEnd,
  onLost,
  hear,
  log,
}: SessionOptions): Session {
  const primes = version === '2025-11-25';
  const streams = new Map<string, Stream>();
  const running = new Map<RequestId, Running>();
  const pending = new Map<RequestId, Pending>();
  const progressTargets = new Map<string, { connection: UpstreamConnection; token: string | number }>();
  const unsolicited = createStream({ id: 'g', primes, restAfterMs: 0 });
  const passing = createPassing(log);
  let streamCount = 0;
  let askCount = 0;
  let ended = false;

  /** What finished is kept for a client that lost its connection at the very end, but not much of it and not for ever. */
  function forgetFinished(): void {
    const finished = [...streams.values()].filter((stream) => stream.finished && !stream.connected);
    let bytes = finished.reduce((sum, stream) => sum + stream.bytes, 0);
    let count = finished.length;
    for (const stream of finished) {
      if (count <= doorLimits.finishedStreams && bytes <= doorLimits.finishedStreamBytes) return;
      streams.delete(stream.id);
      bytes -= stream.bytes;
      count--;
    }
  }

  const notify = (method: string, params: JsonObject) => unsolicited.send(messageText(method, params));

  const session: Session = {
    id: randomUUID(),
    caller,
    view,
    version,
    capabilities,
    logLevel: 'debug',
    lastUsedAt: now,
    unsolicited,
    watches: new Map(),

    begin(request) {
      const { id } = request;
      if (running.has(id))
        throw new JsonRpcFailure({
          code: codes.invalidRequest,
          message: `The id ${JSON.stringify(id)} is still in use.`,
        });
      if (running.size >= doorLimits.callsPerSession)
        throw new JsonRpcFailure({ code: codes.limit, message: 'Too many requests of this session run at once.' });
      running.set(id, request);
      return () => {
        running.delete(id);
      };
    },
    cancel: (id) => running.get(id)?.cancel(),
    liveStream() {
      if (unsolicited.connected) return unsolicited;
      for (const { stream } of running.values()) {
        const open = stream();
        if (open?.connected) return open;
      }
      return unsolicited;
    },

    openStream() {
      const stream = createStream({
        id: String(++streamCount),
        primes,
        restAfterMs,
        onFinish: () => setImmediate(forgetFinished),
      });
      streams.set(stream.id, stream);
      return stream;
    },
    streamOf: (id) => (id === unsolicited.id ? unsolicited : streams.get(id)),

    async ask(stream, message, signal, connection) {
      if (pending.size >= doorLimits.asksPerSession)
        throw new JsonRpcFailure({ code: codes.limit, message: 'Too many requests wait for this client.' });
      const id = `gatehouse-${++askCount}`;
      const params = { ...message.params };
      const meta = isJsonObject(params._meta) ? params._meta : {};
      const { progressToken: token } = meta;
      if (connection && (typeof token === 'string' || typeof token === 'number')) {
        progressTargets.set(id, { connection, token });
        params._meta = { ...meta, progressToken: id };
      }
      try {
        return await new Promise<UpstreamAnswer>((resolve, reject) => {
          const giveUp = AbortSignal.any([signal, AbortSignal.timeout(doorLimits.askTimeoutMs)]);
          const onAbort = () => {
            stream.send(messageText('notifications/cancelled', { requestId: id, reason: 'No longer wanted.' }));
            reject(new JsonRpcFailure({ code: codes.internal, message: 'The client did not answer in time.' }));
          };
          if (giveUp.aborted) return onAbort();
          giveUp.addEventListener('abort', onAbort, { once: true });
          pending.set(id, { resolve });
          stream.send(requestText(id, message.method, params));
        });
      } finally {
        pending.delete(id);
        progressTargets.delete(id);
      }
    },
    answered(id, answer) {
      if (id !== null) pending.get(id)?.resolve(answer);
    },
    progressTarget: (token) => (typeof token === 'string' ? progressTargets.get(token) : undefined),

    audience: {
      listChanged: (list) => notify(`notifications/${list}/list_changed`, {}),
      resourceUpdated: (server, uri) => {
        const method = 'notifications/resources/updated';
        // A name that is not shown as it is is no name of what the agent watches.
        const tell = ({ uri: shown }: JsonObject) => shown === uri && notify(method, paramsOut(view, server, { uri }));
        passing.pass(() => hear(server, { method, params: { uri } }), tell);
      },
      message(server, { method, params }) {
        const wanted =
          method === 'notifications/message'
            ? levelPasses(params.level, session.logLevel)
            : ['notifications/elicitation/complete', 'notifications/tasks/status'].includes(method);
        if (!wanted) return;
        const tell = (shown: JsonObject) => notify(method, paramsOut(view, server, shown));
        passing.pass(() => hear(server, { method, params }), tell);
      },
      lost: (server) => onLost(session, server),
    },

    get ended() {
      return ended;
    },
    get idle() {
      return running.size === 0 && !unsolicited.connected;
    },

    end(reason) {
      if (ended) return;
      ended = true;
      for (const request of [...running.values()]) request.end(reason);
      unsolicited.finish();
      for (const stream of streams.values()) stream.finish();
      onEnd(session);
    },
  };
  return session;
}
