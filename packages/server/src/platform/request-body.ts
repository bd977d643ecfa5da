import type { IncomingMessage } from 'node:http';
import { limits } from './config.ts';
import { GatehouseError } from './errors.ts';

/**
 * The whole body, at most `requestBodyBytes` of it and for at most `requestBodyTimeoutMs`.
 * Throws GatehouseError: `too-large`, `timeout` (answered with 408), or `bad-request` when the client left in the middle.
 */
export function readBody(
  request: IncomingMessage,
  { requestBodyBytes, requestBodyTimeoutMs }: BodyLimits = limits,
): Promise<Buffer> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > requestBodyBytes) return Promise.reject(tooLarge(requestBodyBytes));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(
      () => settle(new GatehouseError('timeout', 'body.slow', 'The request body took too long to arrive.')),
      requestBodyTimeoutMs,
    );
    const onData = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > requestBodyBytes) settle(tooLarge(requestBodyBytes));
      else chunks.push(chunk);
    };
    const onEnd = () => settle();
    const onClose = () =>
      settle(new GatehouseError('bad-request', 'body.truncated', 'The request body is incomplete.'));
    function settle(error?: Error) {
      clearTimeout(timer);
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      if (!error) return resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
      request.on('error', () => undefined).resume();
      reject(error);
    }
    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}

const tooLarge = (bytes: number) =>
  new GatehouseError('too-large', 'body.too-large', `A request body holds at most ${bytes} bytes.`);

export interface BodyLimits {
  requestBodyBytes: number;
  requestBodyTimeoutMs: number;
}
