import type { Approval } from '@gatehouse/protocol';
import type { Caller } from '../../../identity/index.ts';
import { isJsonObject, type JsonObject } from '../../../platform/index.ts';
import { JsonRpcFailure, type UpstreamAnswer } from '../../upstream/types.ts';
import type { AgentSide, Call } from '../agent-side.ts';
import { waitForDecision } from '../approval-wait.ts';
import type { Door } from '../door-parts.ts';
import { elicitationModes, tasksExtension } from '../grants.ts';
import { doorLimits } from '../limits.ts';
import { approvalUrl, notApprovedAnswer, waitingAnswer, waitingMessage, waitingMeta } from '../replies.ts';
import type { Carry, Round } from '../request-state.ts';
import { codes, errorAnswer } from '../rpc.ts';
import type { View } from '../view.ts';
import type { Conversation } from './conversation.ts';
import type { Envelope } from './envelope.ts';

export const approvalKey = 'gatehouse_approval';

export interface ModernRequest {
  caller: Caller;
  view: View;
  method: string;
  params: JsonObject;
  envelope: Envelope;
}

/** A 2026-07-28 client during one request: what is asked of it ends the round, and comes back with the next one. */
export function createAgentSide(
  door: Door,
  request: ModernRequest,
  conversation: Conversation,
  /** Set when this request is the retry of one that waited for an approval. */
  resumed: { approval: string; declined: boolean } | null,
  carry: Carry | null,
): AgentSide {
  const { caller, view, method, params, envelope } = request;
  const { signal } = conversation.controller;
  const notify = (name: string, message: JsonObject) => conversation.sink?.notify(name, message);

  const isTask = method === 'tools/call' && declaresTasks(envelope.capabilities);

  async function awaitApproval(approval: Approval, actionId: string, call: Call): Promise<UpstreamAnswer | null> {
    const task = isTask ? await door.waiting.open(side, call, approval, actionId) : undefined;
    if (task) return task;
    const canOpen = elicitationModes(envelope.capabilities).url && canWantInput(method);
    const again = resumed?.approval === approval.id;
    if (canOpen && !again) return askToOpen(approval, actionId);
    const hold = again ? !resumed.declined : envelope.progressToken !== undefined;
    if (!hold) return waitingAnswer(method, door.publicUrl, approval);
    const release = door.enforcement.attach(caller, (reason) => conversation.abort(new Error(reason)));
    try {
      const { progressToken } = envelope;
      const holdMs = doorLimits.approvalHoldMs;
      const settled = await waitForDecision(door, { progressToken, notify }, approval, signal, holdMs);
      if (signal.aborted) return errorAnswer(codes.ended, 'The request has ended.');
      if (settled.state !== 'pending') return notApprovedAnswer(method, settled, actionId) ?? null;
      return canOpen ? askToOpen(approval, actionId) : waitingAnswer(method, door.publicUrl, approval);
    } finally {
      release();
    }
  }

  function askToOpen(approval: Approval, actionId: string): UpstreamAnswer {
    const url = approvalUrl(door.publicUrl, approval);
    const elicitation = { mode: 'url', url, message: waitingMessage(approval) };
    const answer = endWith(
      { [approvalKey]: { method: 'elicitation/create', params: elicitation } },
      { kind: 'approval', actionId, approval: approval.id, carry },
    );
    if ('result' in answer) answer.result._meta = waitingMeta(door.publicUrl, approval);
    return answer;
  }

  function endWith(inputRequests: JsonObject, round: Round): UpstreamAnswer {
    return inputRequired(inputRequests, door.states.seal(caller, view.server, method, params, round));
  }

  const side: AgentSide = {
    ...createLaterSide(request),
    progressToken: envelope.progressToken,
    logLevel: envelope.logLevel,
    signal,
    notify,
    async ask(message, aborted) {
      if (!canWantInput(method) || conversation.ended)
        throw new JsonRpcFailure({ code: codes.methodNotFound, message: 'The client cannot be asked now.' });
      return conversation.ask(message, aborted);
    },
    awaitApproval,
    ...(isTask && { takesTask: { ttlMs: null } }),
    later: () => createLaterSide(request),
    endRound: ({ actionId, round, state, inputRequests }) =>
      endWith(inputRequests, { kind: 'server', actionId, round, state }),
  };
  return side;
}

/** A client when no request of it is open, so that nothing can be asked of it. */
export function createLaterSide({
  caller,
  view,
  envelope,
}: Pick<ModernRequest, 'caller' | 'view' | 'envelope'>): AgentSide {
  return {
    caller,
    view,
    era: '2026-07-28',
    capabilities: envelope.capabilities,
    session: undefined,
    progressToken: undefined,
    logLevel: null,
    signal: new AbortController().signal,
    notify: () => undefined,
    async ask() {
      throw new JsonRpcFailure({ code: codes.methodNotFound, message: 'The client cannot be asked now.' });
    },
    async awaitApproval() {
      throw new JsonRpcFailure({ code: codes.waiting, message: 'Not approved in time.' });
    },
  };
}

export function declaresTasks({ extensions }: JsonObject): boolean {
  return isJsonObject(extensions) && isJsonObject(extensions[tasksExtension]);
}

export function inputRequired(inputRequests: JsonObject, requestState: string): UpstreamAnswer {
  return { result: { resultType: 'input_required', inputRequests, requestState } };
}

/** The three methods that may end in `input_required` (basic/patterns/mrtr, Supported Requests). */
export const canWantInput = (method: string): boolean =>
  ['tools/call', 'prompts/get', 'resources/read'].includes(method);

/** Whether the user did not want to open the address. Without an answer they may have opened it. */
export function isDeclined(answer: unknown): boolean {
  return isJsonObject(answer) && (answer.action === 'decline' || answer.action === 'cancel');
}
