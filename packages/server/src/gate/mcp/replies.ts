import type { Approval, Decision } from '@gatehouse/protocol';
import { RELEASE } from '../../enforcement/index.ts';
import type { JsonObject } from '../../platform/index.ts';
import type { JsonRpcError, UpstreamAnswer } from '../upstream/types.ts';
import { doorLimits } from './limits.ts';
import { codes, errorAnswer } from './rpc.ts';

/** Outcomes as the wire has them. A tool's refusal is a tool result, so that the model reads it; everything else is an error. */

export function refusedAnswer(method: string, decision: Decision, actionId: string): UpstreamAnswer {
  const { code, reason, policies, tier } = decision;
  if (method === 'tools/call') {
    const text = `Refused by Gatehouse (${code}): ${reason}`;
    return toolError(text, { 'gatehouse/decision': { code, action_id: actionId, policies, tier } });
  }
  return { error: refusalError(decision, actionId) };
}

/** Names that do not exist are invalid parameters in both eras; every other refusal is one of ours. */
export function refusalError({ code, reason, policies, tier }: Decision, actionId: string): JsonRpcError {
  const unknown = code === 'server.unknown' || code === 'arguments.invalid' || code === 'prompt.not-approved';
  return {
    code: unknown ? codes.invalidParams : codes.refused,
    message: `Refused by Gatehouse (${code}): ${reason}`,
    data: { code, action_id: actionId, policies, tier },
  };
}

export function unknownAnswer(method: string, detail: string, actionId: string, publicUrl: string): UpstreamAnswer {
  const text =
    `Nobody knows whether this ran: ${detail} ` +
    'It may have taken effect. Do not repeat it blindly; look at the state it would have changed first. ' +
    'Where it could change something, the same call asks a person now.';
  const outcome = { state: 'unknown', action_id: actionId, url: `${publicUrl}/actions/${actionId}` };
  return method === 'tools/call'
    ? toolError(text, { 'gatehouse/outcome': outcome })
    : errorAnswer(codes.unknown, text, outcome);
}

/** It ran, and its result is kept from the agent for good. */
export function withheldAnswer(method: string, detail: string, actionId: string): UpstreamAnswer {
  const text = `The call has run, but its result is not given out: ${detail} Ask for less, for example with a filter or a page.`;
  return method === 'tools/call'
    ? toolError(text, { 'gatehouse/outcome': { state: 'withheld', action_id: actionId } })
    : errorAnswer(codes.refused, text, { state: 'withheld', action_id: actionId });
}

/** Nothing was sent: it is safe to try again. */
export function notSentAnswer(method: string, detail: string, actionId: string): UpstreamAnswer {
  const text = `The tool server did not get this: ${detail} Nothing ran; it is safe to try again.`;
  return method === 'tools/call'
    ? toolError(text, { 'gatehouse/outcome': { state: 'not-sent', action_id: actionId } })
    : errorAnswer(codes.upstream, text, { state: 'not-sent', action_id: actionId });
}

export function approvalUrl(publicUrl: string, approval: Approval): string {
  return `${publicUrl}/approvals/${approval.id}`;
}

/** What every surface says of a call that waits: what for, where to look at it, when to come back. */
export interface Waiting {
  id: string;
  url: string;
  state: string;
  retryAfterSeconds: number;
}

export const waitingFor = (publicUrl: string, approval: Approval): Waiting => ({
  id: approval.id,
  url: approvalUrl(publicUrl, approval),
  state: approval.state,
  retryAfterSeconds: doorLimits.approvalRetrySeconds,
});

/** As MCP messages carry it. */
export const waitingMeta = (publicUrl: string, approval: Approval): JsonObject => ({
  'gatehouse/approval': { ...waitingFor(publicUrl, approval) },
});

/** For a client that can neither open an address nor be held: it is told to come back. */
export function waitingAnswer(method: string, publicUrl: string, approval: Approval): UpstreamAnswer {
  const data = { ...waitingFor(publicUrl, approval) };
  const text =
    approval.operation === RELEASE
      ? `${approval.decision.reason} A person can look at it and release it at ${data.url}. ` +
        'Then repeat the same call with the same arguments: it gets this result, and does not run again.'
      : `Waiting for approval: ${approval.decision.reason} A person can approve exactly this call at ${data.url}. ` +
        'Then retry the same call with the same arguments.';
  return method === 'tools/call'
    ? toolError(text, { 'gatehouse/approval': data })
    : errorAnswer(codes.waiting, text, data);
}

/** Undefined when it was approved. */
export function notApprovedAnswer(method: string, approval: Approval, actionId: string): UpstreamAnswer | undefined {
  const why: Record<string, string> = {
    denied: `${approval.decidedBy ?? 'An approver'} said no${approval.reason ? `: ${approval.reason}` : '.'}`,
    expired: 'Nobody answered in time. Ask again when an approver is there.',
    cancelled: 'The request was cancelled.',
  };
  const reason = why[approval.state];
  if (reason === undefined) return undefined;
  return refusedAnswer(method, { ...approval.decision, code: `approval.${approval.state}`, reason }, actionId);
}

export const waitingMessage = (approval: Approval) =>
  approval.operation === RELEASE
    ? `Gatehouse: ${approval.agent} waits for the result of ${approval.tool}. ${approval.decision.reason}`
    : `Gatehouse: ${approval.agent} asks to run ${approval.tool}. ${approval.decision.reason}`;

function toolError(text: string, meta: JsonObject): UpstreamAnswer {
  return { result: { content: [{ type: 'text', text }], isError: true, _meta: meta } };
}
