import { randomUUID } from 'node:crypto';
import type { Approval } from '@gatehouse/protocol';
import type { Caller } from '../../../identity/index.ts';
import { GatehouseError, isJsonObject, type JsonObject } from '../../../platform/index.ts';
import type { ServerMessage, UpstreamAnswer, UpstreamConnection } from '../../upstream/types.ts';
import type { AgentSide, Call } from '../agent-side.ts';
import { waitForDecision } from '../approval-wait.ts';
import type { Door } from '../door-parts.ts';
import { elicitationModes } from '../grants.ts';
import { doorLimits } from '../limits.ts';
import { approvalUrl, notApprovedAnswer, waitingAnswer, waitingMessage, waitingMeta } from '../replies.ts';
import { codes, errorAnswer, messageText } from '../rpc.ts';
import type { Exchange } from './exchange.ts';
import type { Session } from './session.ts';

/** A 2025-11-25 client during one request: notifications and requests to it go out on the stream of that request. */
export function createAgentSide(
  door: Door,
  session: Session,
  /** By the token of this request: the session may have been opened with an older one. */
  caller: Caller,
  exchange: Exchange,
  method: string,
  params: JsonObject,
): AgentSide & { abort(reason: string): void } {
  const controller = new AbortController();
  const { signal } = controller;
  const token = isJsonObject(params._meta) ? params._meta.progressToken : undefined;
  // A call that is to run as a task is answered with a task or an error.
  const shape = isJsonObject(params.task) ? 'tasks/create' : method;
  const progressToken = typeof token === 'string' || typeof token === 'number' ? token : undefined;

  /** A server that asks after its call is done reaches the client on whatever stream is open. */
  const openStream = () => {
    const stream = exchange.stream();
    return stream.finished ? session.liveStream() : stream;
  };
  const wait = (approval: Approval, until: AbortSignal, maxMs: number) =>
    waitForDecision(door, { progressToken, notify: exchange.notify }, approval, until, maxMs);

  const isTask = method === 'tools/call' && session.version === '2025-11-25' && isJsonObject(params.task);
  const ttl = isJsonObject(params.task) ? params.task.ttl : undefined;
  const takesTask = isTask ? { ttlMs: typeof ttl === 'number' ? ttl : null } : undefined;

  async function awaitApproval(approval: Approval, actionId: string, call: Call): Promise<UpstreamAnswer | null> {
    const task = takesTask ? await door.waiting.open(side, call, approval, actionId) : undefined;
    if (task) return task;
    if (elicitationModes(session.capabilities).url) {
      const settled = await askToOpen(approval);
      if (settled) return whatNow(settled, actionId);
    } else if (progressToken !== undefined) {
      return whatNow(await wait(approval, signal, doorLimits.approvalHoldMs), actionId);
    }
    return waitingAnswer(shape, door.publicUrl, approval);
  }

  function whatNow(approval: Approval, actionId: string): UpstreamAnswer | null {
    if (signal.aborted) return errorAnswer(codes.ended, 'The request has ended.');
    if (approval.state === 'pending') return waitingAnswer(shape, door.publicUrl, approval);
    return notApprovedAnswer(shape, approval, actionId) ?? null;
  }

  /** Shows the client's user where to approve, and waits for the decision; undefined when the user does not want to. */
  async function askToOpen(approval: Approval): Promise<Approval | undefined> {
    const enough = new AbortController();
    const until = AbortSignal.any([signal, enough.signal]);
    const declined = session
      .ask(
        openStream(),
        {
          method: 'elicitation/create',
          params: {
            mode: 'url',
            elicitationId: approval.id,
            url: approvalUrl(door.publicUrl, approval),
            message: waitingMessage(approval),
            _meta: waitingMeta(door.publicUrl, approval),
          },
        },
        until,
      )
      .then(
        (answer) => !('result' in answer && answer.result.action === 'accept'),
        () => !signal.aborted && !enough.signal.aborted,
      );
    const decided = wait(approval, until, doorLimits.approvalWaitMs);
    try {
      const refused = declined.then((no) => (no ? undefined : decided));
      const settled = await Promise.race([decided, refused]);
      if (settled && settled.state !== 'pending')
        exchange.notify('notifications/elicitation/complete', { elicitationId: approval.id });
      return settled;
    } finally {
      enough.abort();
    }
  }

  const side = {
    caller,
    view: session.view,
    era: '2025-11-25' as const,
    capabilities: session.capabilities,
    session: session.id,
    audience: session.audience,
    progressToken,
    ...(takesTask && { takesTask }),
    get logLevel() {
      return session.logLevel;
    },
    signal,
    notify: exchange.notify,
    ask: (message: ServerMessage, aborted: AbortSignal, from: UpstreamConnection | undefined) =>
      session.ask(openStream(), forLegacyClient(message), aborted, from),
    awaitApproval,
    later: () => (session.ended ? undefined : laterSide),
    abort: (reason: string) => controller.abort(new GatehouseError('conflict', 'request.ended', reason)),
  } satisfies AgentSide & { abort(reason: string): void };
  /** On whatever stream is open then. */
  const laterSide: AgentSide = {
    ...side,
    signal: new AbortController().signal,
    notify: (name, message) => session.liveStream().send(messageText(name, message)),
    ask: (message, aborted, from) => session.ask(session.liveStream(), forLegacyClient(message), aborted, from),
  };
  return side;
}

/** 2026-07-28 servers do not name their elicitations, which 2025-11-25 clients need. */
function forLegacyClient(message: ServerMessage): ServerMessage {
  const { method, params } = message;
  if (method !== 'elicitation/create' || params.mode !== 'url' || params.elicitationId !== undefined) return message;
  return { method, params: { ...params, elicitationId: randomUUID() } };
}
