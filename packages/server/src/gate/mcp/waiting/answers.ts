import type { JsonObject } from '../../../platform/index.ts';
import { JsonRpcFailure, type UpstreamAnswer } from '../../upstream/types.ts';
import { asObject } from '../grants.ts';
import { codes, errorAnswer } from '../rpc.ts';

/** What the gate itself says of its tasks. */

export const stillWaiting = errorAnswer(codes.waiting, 'It waits.');
export const cancelled = errorAnswer(
  codes.ended,
  'The agent cancelled the task. What was sent before that was cancelled at its server, and what is known of it is on record.',
);
export const neverRan = errorAnswer(
  codes.upstream,
  'The gate was stopped before this was sent. Nothing ran; call again.',
);
export const sameWaits = (id: string) =>
  errorAnswer(codes.ended, `The same call waits as the task ${id} already. Ask for that one.`);
export const tooLarge = errorAnswer(
  codes.limit,
  'It has run, and its result is too large to be kept for a task. Ask for less, for example with a filter or a page.',
);

export const lostAnswer = (result: string, actionId: string, publicUrl: string) =>
  errorAnswer(
    codes.unknown,
    `It has run (${result}), and its result is not here: another request of this agent had it, or the replica that ran it was stopped. Do not repeat it blindly.`,
    { state: result, action_id: actionId, url: `${publicUrl}/actions/${actionId}` },
  );

/** A request for a task is answered with one or with an error. */
export const refusedAsError = ({ content, _meta }: JsonObject) =>
  errorAnswer(
    codes.refused,
    String(asObject(Array.isArray(content) ? content[0] : {}).text),
    asObject(asObject(_meta)['gatehouse/decision']),
  );

/** The code of a refusal, where that is what became of a tool's call. What is an error is its server's. */
export function refusalIn(answer: UpstreamAnswer): string | undefined {
  if ('error' in answer) return undefined;
  const { code } = asObject(asObject(answer.result._meta)['gatehouse/decision']);
  return typeof code === 'string' ? code : undefined;
}

/** What a call came to that threw. */
export const thrownAnswer = (error: unknown): UpstreamAnswer =>
  error instanceof JsonRpcFailure
    ? { error: error.error }
    : errorAnswer(codes.internal, 'Something failed inside Gatehouse; the server log has the cause.');
