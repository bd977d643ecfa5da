import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Answer, Witness } from './witness.ts';

/** A checkpoint with many signatures and the longest proof fit into a tenth of it. */
const MAX_BODY_BYTES = 64 * 1024;
const REQUEST_TIMEOUT_MS = 10_000;
const MAX_CONNECTIONS = 256;

/** `POST /add-checkpoint` and `GET /HASH/checkpoint`, under any prefix that a proxy in front of it takes off. Plain HTTP: signatures protect what is said. */
export function createWitnessServer(witness: Witness, report: (line: object) => void): Server {
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
    (request, response) => {
      answerTo(witness, request)
        .catch((error: unknown): Answer => {
          report({ level: 'error', message: 'a request failed', error: String(error) });
          return { status: 500, contentType: 'text/plain; charset=utf-8', body: 'this failed here\n' };
        })
        .then(({ status, contentType, body }) => {
          if (request.method === 'POST')
            report({ level: 'info', message: 'add-checkpoint', status, detail: status === 200 ? '' : body.trim() });
          response.writeHead(status, {
            'content-type': contentType,
            'cache-control': 'no-cache',
            'x-content-type-options': 'nosniff',
            // Of a body that was too large the rest is not read.
            ...(status === 413 && { connection: 'close' }),
          });
          response.end(body);
        });
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}

async function answerTo(witness: Witness, request: IncomingMessage): Promise<Answer> {
  const refused = (status: number, why: string): Answer => ({
    status,
    contentType: 'text/plain; charset=utf-8',
    body: `${why}\n`,
  });
  const path = request.url?.split('?')[0] ?? '';
  if (path === '/add-checkpoint') {
    if (request.method !== 'POST') return refused(405, 'this is posted');
    const body = await bodyOf(request);
    return body === undefined ? refused(413, 'the request is too large') : witness.addCheckpoint(body);
  }
  const originHash = /^\/([0-9a-f]{64})\/checkpoint$/.exec(path)?.[1];
  if (originHash !== undefined)
    return request.method === 'GET' ? witness.checkpoint(originHash) : refused(405, 'this is read');
  return refused(404, 'there is nothing here');
}

async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
