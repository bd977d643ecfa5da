import { randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isSame } from './same-text.ts';
import type { Broker, LocalAnswer, LocalClient, LocalRequest } from './types.ts';

const MAX_BODY_BYTES = 64 * 1024;
const MAX_WAIT_SECONDS = 3_600;

export interface LocalServer {
  /** For clients that speak HTTP on loopback; undefined where none was asked for. */
  url: string | undefined;
  /** What they prove themselves with. */
  token: string;
  close(): void;
}

/**
 * Serves clients on a Unix socket, which only this user can open, and on loopback, where any user of the machine can connect: there each client has to
 * show a token, and neither a page in a browser nor another name for the address gets an answer.
 */
export async function serveClients(
  clients: readonly LocalClient[],
  broker: Broker,
  { socket, port, note }: { socket: string; port?: number; note(text: string): void },
): Promise<LocalServer> {
  const token = randomBytes(32).toString('base64url');
  const byName = new Map(clients.map((client) => [client.name, client]));
  let origin = '';

  async function answer(request: IncomingMessage, isLoopback: boolean): Promise<LocalAnswer> {
    if (isLoopback && (`http://${request.headers.host}` !== origin || request.headers.origin !== undefined))
      return NOTHING;
    const url = URL.parse(request.url ?? '', 'http://localhost');
    const [name = '', ...path] = (url?.pathname ?? '').slice(1).split('/').map(decoded);
    const client = byName.get(name);
    if (!url || !client || (isLoopback && !client.loopback)) return NOTHING;
    const body = await bodyOf(request);
    if (body === undefined) return { status: 413, body: 'too large' };
    const wait = Number(url.searchParams.get('wait') ?? 0);
    const asked: LocalRequest = {
      method: request.method ?? 'GET',
      path,
      query: url.searchParams,
      headers: request.headers,
      body,
      waitMs: (Number.isFinite(wait) ? Math.min(Math.max(wait, 0), MAX_WAIT_SECONDS) : 0) * 1_000,
      token,
    };
    const { loopback } = client;
    if (isLoopback && loopback && !loopback.open?.(asked) && !isSame(loopback.tokenIn(asked), token))
      return loopback.refused;
    return client.answer(asked, broker).catch((error: unknown) => {
      const detail = error instanceof Error ? error.message : String(error);
      note(detail);
      return client.failed?.(detail, asked) ?? { status: 503, body: detail };
    });
  }

  function handle(isLoopback: boolean) {
    return (request: IncomingMessage, response: ServerResponse) => {
      answer(request, isLoopback)
        // A body that breaks off.
        .catch((): LocalAnswer => ({ status: 400, body: 'the request was not read to its end' }))
        .then(({ status, body }) => {
          const isText = typeof body === 'string';
          const text = status === 204 ? '' : isText ? body : JSON.stringify(body);
          response.writeHead(status, {
            'Content-Type': isText ? 'text/plain; charset=utf-8' : 'application/json',
            'Cache-Control': 'no-store',
            ...(status !== 204 && { 'Content-Length': Buffer.byteLength(text) }),
            ...(request.complete ? {} : { Connection: 'close' }),
          });
          response.end(text);
        });
    };
  }

  const servers: Server[] = [createServer(handle(false))];
  // Nobody else gets in, also for the moment between making the socket and setting its mode.
  const before = process.umask(0o177);
  try {
    await listening(servers[0] as Server, { path: socket });
  } finally {
    process.umask(before);
  }
  chmodSync(socket, 0o600);
  if (port !== undefined) {
    const http = createServer(handle(true));
    servers.push(http);
    await listening(http, { host: '127.0.0.1', port });
    origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  }
  return {
    url: origin || undefined,
    token,
    close() {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

const NOTHING: LocalAnswer = { status: 404, body: 'There is nothing here.' };

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}

function listening(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => resolve());
  });
}
