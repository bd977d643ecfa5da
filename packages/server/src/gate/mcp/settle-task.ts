import { setTimeout as sleep } from 'node:timers/promises';
import { isJsonObject, type JsonObject } from '../../platform/index.ts';
import { JsonRpcFailure, type UpstreamAnswer, type UpstreamConnection, type UpstreamHooks } from '../upstream/types.ts';
import { asObject } from './grants.ts';
import { doorLimits } from './limits.ts';
import { codes } from './rpc.ts';

/**
 * The answer that a server's own task comes to: for a call that is a task of the gate's already, so that it is one dispatch with one outcome.
 * What is no task is given back as it is.
 */
export async function settleTask(
  connection: UpstreamConnection,
  answer: UpstreamAnswer,
  clientCapabilities: JsonObject,
  hooks: UpstreamHooks,
): Promise<UpstreamAnswer> {
  if ('error' in answer) return answer;
  const isModern = connection.era === '2026-07-28';
  const made = isModern ? (answer.result.resultType === 'task' ? answer.result : {}) : asObject(answer.result.task);
  const { taskId } = made;
  if (typeof taskId !== 'string') return answer;
  const ask = (method: string, more: JsonObject = {}) =>
    connection.request(
      { method, params: { taskId, ...(isModern && { _meta: {} }), ...more }, ...(isModern && { clientCapabilities }) },
      hooks,
    );
  if (!isModern) return ask('tasks/result');
  let every = made.pollIntervalMs;
  for (;;) {
    const ms = typeof every === 'number' ? every : doorLimits.runningTaskPollMs;
    await sleep(Math.min(Math.max(ms, 50), 60_000), undefined, { signal: hooks.signal });
    const now = await ask('tasks/get');
    if ('error' in now) return now;
    const { status, result, error, statusMessage, pollIntervalMs } = now.result;
    if (status === 'completed' && isJsonObject(result)) return { result };
    if (status === 'failed' && isJsonObject(error))
      return { error: { code: Number(error.code), message: String(error.message) } };
    if (status !== 'working' && status !== 'input_required') {
      const said = typeof statusMessage === 'string' ? `: ${statusMessage}` : '.';
      throw new JsonRpcFailure({
        code: codes.upstream,
        message: `The server’s task ended as ${String(status)}${said}`,
      });
    }
    if (status === 'input_required') {
      await ask('tasks/cancel');
      throw new JsonRpcFailure({
        code: codes.internal,
        message: 'The server’s task wants input, which a call that had to be approved cannot be given.',
      });
    }
    every = pollIntervalMs;
  }
}
