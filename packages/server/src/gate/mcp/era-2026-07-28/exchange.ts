import type { ServerResponse } from 'node:http';
import type { JsonObject } from '../../../platform/index.ts';
import type { UpstreamAnswer } from '../../upstream/types.ts';
import { openEventStream, sendJson } from '../http-edge.ts';
import { doorLimits } from '../limits.ts';
import { answerText, codes, messageText, type RequestId } from '../rpc.ts';

/** The answer to one POST: JSON, or a stream once there is something to stream. A client that leaves has cancelled. */
export interface Exchange {
  notify(method: string, params: JsonObject): void;
  answer(id: RequestId, answer: UpstreamAnswer): void;
}

export function createExchange(response: ServerResponse, onCancel: () => void): Exchange {
  let streaming = false;
  let answered = false;
  let keepAlive: NodeJS.Timeout | undefined;
  // Long quiet is cut by proxies; a stream can be kept alive.
  const patience = setTimeout(open, doorLimits.keepAliveMs);
  response.once('close', () => {
    clearTimeout(patience);
    clearInterval(keepAlive);
    if (!answered) onCancel();
    answered = true;
  });

  function open(): void {
    clearTimeout(patience);
    if (streaming || answered) return;
    streaming = true;
    openEventStream(response);
    keepAlive = setInterval(() => write(': keep-alive\n\n'), doorLimits.keepAliveMs);
    keepAlive.unref();
  }

  function write(text: string): void {
    if (response.destroyed) return;
    response.write(text);
    if (response.writableLength > doorLimits.unsentBytes) response.destroy();
  }

  return {
    notify(method, params) {
      if (answered) return;
      open();
      write(`event: message\ndata: ${messageText(method, params)}\n\n`);
    },
    answer(id, answer) {
      if (answered) return;
      answered = true;
      clearTimeout(patience);
      clearInterval(keepAlive);
      const text = answerText(id, answer);
      if (streaming) response.end(`event: message\ndata: ${text}\n\n`);
      else sendJson(response, httpStatus(answer), text);
    },
  };
}

/** Two errors have statuses of their own; every other is the payload of a request that HTTP served well. */
function httpStatus(answer: UpstreamAnswer): number {
  if (!('error' in answer)) return 200;
  if (answer.error.code === codes.methodNotFound) return 404;
  return answer.error.code === codes.missingCapability ? 400 : 200;
}
