import type { ServerResponse } from 'node:http';
import type { JsonObject } from '../../../platform/index.ts';
import type { UpstreamAnswer } from '../../upstream/types.ts';
import { prefersStream, sendJson } from '../http-edge.ts';
import { doorLimits } from '../limits.ts';
import { answerText, messageText, type RequestId } from '../rpc.ts';
import type { Session } from './session.ts';
import type { Stream } from './stream.ts';

/**
 * The answer to one POST: JSON when nothing is there to stream and it comes at once, else a stream that a client can come back to.
 * A client that leaves has not cancelled (2025-11-25, transports).
 */
export interface Exchange {
  /** Opens the stream when there is none yet. */
  stream(): Stream;
  opened(): Stream | undefined;
  notify(method: string, params: JsonObject): void;
  answer(id: RequestId, answer: UpstreamAnswer): void;
}

export function createExchange(response: ServerResponse, session: Session, expected: number, batch: boolean): Exchange {
  const texts: string[] = [];
  let outstanding = expected;
  let stream: Stream | undefined;
  const timer = setTimeout(open, doorLimits.streamAfterMs);
  if (prefersStream(response.req.headers.accept)) open();

  function open(): Stream {
    clearTimeout(timer);
    if (!stream) {
      stream = session.openStream();
      if (!response.destroyed) stream.attach(response, null);
      for (const text of texts.splice(0)) stream.send(text);
    }
    return stream;
  }

  return {
    stream: open,
    opened: () => stream,
    notify(method, params) {
      if (outstanding > 0) open().send(messageText(method, params));
    },
    answer(id, answer) {
      outstanding--;
      const text = answerText(id, answer);
      if (stream) {
        stream.send(text);
        if (outstanding === 0) stream.finish();
        return;
      }
      texts.push(text);
      if (outstanding > 0) return;
      clearTimeout(timer);
      sendJson(response, 200, batch ? `[${texts.join(',')}]` : (texts[0] as string));
    },
  };
}
