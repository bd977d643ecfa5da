import type { JsonObject } from '../../platform/index.ts';
import { JsonRpcFailure, type UpstreamAnswer, type UpstreamConnection } from '../upstream/types.ts';
import type { Call } from './agent-side.ts';
import { asObject } from './grants.ts';
import { doorLimits } from './limits.ts';
import { codes } from './rpc.ts';

const mayWantInput = ['tools/call', 'prompts/get', 'resources/read'];

/**
 * The input requests of an `input_required` result. INVARIANT: only a 2026-07-28 server can give one, and only for the three
 * methods that allow it; from any other the word means nothing, so that no request reaches a client undecided.
 */
export function inputWanted(
  { era }: Pick<UpstreamConnection, 'era'>,
  { method }: Call,
  answer: UpstreamAnswer,
): { inputRequests: JsonObject; state: string | null } | undefined {
  if (era !== '2026-07-28' || !('result' in answer) || answer.result.resultType !== 'input_required') return undefined;
  if (!mayWantInput.includes(method))
    throw new JsonRpcFailure({
      code: codes.internal,
      message: `The server wants input for ${method}, which cannot have any.`,
    });
  const { inputRequests, requestState } = answer.result;
  return { inputRequests: asObject(inputRequests), state: typeof requestState === 'string' ? requestState : null };
}

export const tooManyRounds = () =>
  new JsonRpcFailure({ code: codes.limit, message: `The server asked for input ${doorLimits.inputRounds} times.` });
