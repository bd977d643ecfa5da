import type { Approval } from '@gatehouse/protocol';
import type { JsonObject } from '../../../platform/index.ts';
import type { Era, UpstreamAnswer } from '../../upstream/types.ts';
import { asObject } from '../grants.ts';
import { doorLimits } from '../limits.ts';
import { approvalUrl, waitingFor, waitingMessage } from '../replies.ts';
import type { WaitingTask } from './types.ts';

/** The gate's own MCP tasks as each era has them (2025-11-25 tasks; SEP-2663). */

export type Status = 'working' | 'input_required' | 'completed' | 'failed' | 'cancelled';

export interface Shown {
  task: WaitingTask;
  status: Status;
  /** Members that both eras have, in the names of this one. */
  body: JsonObject;
}

export const isTerminal = (status: Status) => status !== 'working' && status !== 'input_required';

export const relatedTaskKey = 'io.modelcontextprotocol/related-task';

/** `asks`: its client can open an address, and has not been asked yet (2026-07-28). */
export function shownAs(
  era: Era,
  task: WaitingTask,
  approval: Approval | undefined,
  { publicUrl, asks }: { publicUrl: string; asks: boolean },
): Shown {
  const waits = task.state === 'waiting' && approval?.state === 'pending';
  const status = waits && asks && !task.shown ? 'input_required' : statusOf(era, task);
  const words = messageOf(task, waits ? approval : undefined, publicUrl);
  const ttl = task.expiresAt - task.createdAt;
  const poll = waits ? doorLimits.taskPollMs : doorLimits.runningTaskPollMs;
  const body: JsonObject = {
    taskId: task.id,
    status,
    ...(words !== undefined && { statusMessage: words }),
    createdAt: new Date(task.createdAt).toISOString(),
    lastUpdatedAt: new Date(task.updatedAt).toISOString(),
    ...(era === '2025-11-25' ? { ttl, pollInterval: poll } : { ttlMs: ttl, pollIntervalMs: poll }),
    ...(waits && { _meta: { 'gatehouse/approval': { ...waitingFor(publicUrl, approval) } } }),
  };
  return { task, status, body };
}

/** 2026-07-28: with what a finished task came to, or what its client is asked. */
export function detailed({ task, status, body }: Shown, approval: Approval | undefined, publicUrl: string): JsonObject {
  const { answer } = task;
  if (status === 'completed' && answer && 'result' in answer)
    return { ...body, result: { ...answer.result, resultType: 'complete' } };
  if (status === 'failed' && answer && 'error' in answer) return { ...body, error: { ...answer.error } };
  if (status !== 'input_required' || !approval) return body;
  const url = approvalUrl(publicUrl, approval);
  const params = { mode: 'url', url, message: waitingMessage(approval) };
  return { ...body, inputRequests: { gatehouse_approval: { method: 'elicitation/create', params } } };
}

/** A tool that fails has failed its task in 2025-11-25, and completed it in 2026-07-28, where `failed` is for errors of the protocol. */
function statusOf(era: Era, { state, answer }: WaitingTask): Status {
  if (state === 'waiting' || answer === null) return 'working';
  if (state === 'cancelled') return 'cancelled';
  if ('error' in answer) return 'failed';
  return era === '2025-11-25' && answer.result.isError === true ? 'failed' : 'completed';
}

function messageOf(
  { state, answer }: WaitingTask,
  waitsFor: Approval | undefined,
  publicUrl: string,
): string | undefined {
  if (waitsFor) return `${waitingMessage(waitsFor)} It waits at ${approvalUrl(publicUrl, waitsFor)}`;
  if (state === 'waiting') return 'It runs.';
  if (!answer) return undefined;
  if ('error' in answer) return answer.error.message;
  // What a tool says stays in its result: only the gate's own words are here.
  const meta = asObject(answer.result._meta);
  const isOurs = 'gatehouse/decision' in meta || 'gatehouse/outcome' in meta;
  return isOurs ? textOf(answer) : undefined;
}

const textOf = (answer: UpstreamAnswer): string | undefined => {
  const content = 'result' in answer && Array.isArray(answer.result.content) ? answer.result.content : [];
  const [first] = content.map(asObject);
  return typeof first?.text === 'string' ? first.text : undefined;
};
