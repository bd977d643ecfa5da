import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GatehouseRequestError } from '@gatehouse/sdk/errors';
import type { Gate } from '../bridge/gate.ts';

/**
 * The MCP door on a loopback port of one command: it adds the token and its proof, so that clients which can do neither work, and the
 * token never leaves this process. The secret in the path is what the command has and other users of the machine have not; it is worth
 * nothing when the command has ended.
 */
export interface ExecProxy {
  mcpUrl: string;
  secret: string;
  close(): void;
}

const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** Those that are about one connection, or are ours to set (RFC 9110 §7.6.1, §10.1.1). */
const DROPPED = new Set([
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'upgrade',
  'http2-settings',
  'expect',
  'te',
  'trailer',
  'authorization',
  'dpop',
  'content-length',
  'transfer-encoding',
  'cookie',
]);
const DROPPED_BACK = new Set(['connection', 'content-encoding', 'content-length', 'transfer-encoding', 'dpop-nonce']);

export async function startExecProxy(gate: Gate, note: (text: string) => void): Promise<ExecProxy> {
  const secret = randomBytes(32).toString('base64url');
  let origin = '';

  /** `/SECRET/mcp` or `/SECRET/mcp/SERVER`; undefined for everybody else. */
  const targetOf = ({ url = '', headers }: IncomingMessage): { server: string | undefined } | undefined => {
    const [, given = '', server] = /^\/([\w-]{1,100})\/mcp(?:\/([a-z][a-z0-9-]{0,63}))?$/.exec(url) ?? [];
    // A page in a browser could be made to come here under another name (DNS rebinding); it does not know the secret either.
    if (`http://${headers.host}` !== origin || headers.origin !== undefined) return undefined;
    const [a, b] = [Buffer.from(given), Buffer.from(secret)];
    return a.length === b.length && timingSafeEqual(a, b) ? { server } : undefined;
  };

  async function forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = targetOf(request);
    if (!target || !['GET', 'POST', 'DELETE'].includes(request.method ?? '')) {
      request.resume();
      response.writeHead(404).end();
      return;
    }
    const body = request.method === 'POST' ? await bodyOf(request) : undefined;
    if (body === null) {
      response.writeHead(413, { connection: 'close' }).end();
      return;
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const headers = Object.entries(request.headers).filter(([name]) => !DROPPED.has(name));
    const answer = await gate.send(
      {
        method: request.method ?? 'GET',
        headers: headers.map(([name, value]): [string, string] => [name, String(value)]),
        ...(body && { body }),
        signal: gone.signal,
      },
      target.server,
    );
    response.writeHead(
      answer.status,
      Object.fromEntries([...answer.headers].filter(([name]) => !DROPPED_BACK.has(name))),
    );
    // A stream begins with its headers, before there is anything to say.
    response.flushHeaders();
    if (answer.body) await pipeline(Readable.fromWeb(answer.body as never), response);
    else response.end();
  }

  const server = createServer((request, response) => {
    forward(request, response).catch((error: unknown) => {
      if (response.destroyed || response.headersSent) return void response.destroy();
      const isKnown = error instanceof GatehouseRequestError;
      if (!isKnown) note(`a request was not passed on: ${error instanceof Error ? error.message : String(error)}`);
      const detail = isKnown ? error.message : 'The request could not be passed on; whether it was taken is not known.';
      const code = isKnown && error.status === 0 ? 1004 : 1006;
      response.writeHead(502, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code, message: detail } }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    mcpUrl: `${origin}/${secret}/mcp`,
    secret,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Null when it is larger than anything that the door takes. */
async function bodyOf(request: IncomingMessage): Promise<Uint8Array<ArrayBuffer> | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}
