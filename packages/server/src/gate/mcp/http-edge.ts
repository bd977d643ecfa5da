import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GatehouseError } from '../../platform/index.ts';
import { answerText, errorAnswer, type RequestId } from './rpc.ts';

/** Reads and writes HTTP, and nothing of MCP: body limits, headers of every answer, Host and Origin. */

/** Every answer may hold what only this agent may see. */
const privateHeaders = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' } as const;

/** A slow body is the client's doing (408), unlike a slow upstream (504). */
export function statusOf(error: GatehouseError): number {
  return error.code === 'body.slow' ? 408 : error.status;
}

export function sendJson(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}) {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    ...privateHeaders,
    ...unread(response),
    ...headers,
  });
  response.end(text);
}

export function sendEmpty(response: ServerResponse, status: number, headers: Record<string, string> = {}) {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'Content-Length': 0, ...privateHeaders, ...unread(response), ...headers }).end();
}

export function sendError(
  response: ServerResponse,
  status: number,
  code: number,
  message: string,
  more: { id?: RequestId | null; data?: Parameters<typeof errorAnswer>[2]; headers?: Record<string, string> } = {},
) {
  sendJson(response, status, answerText(more.id ?? null, errorAnswer(code, message, more.data)), more.headers);
}

/** A body that nobody will read must not be waited for before the next request on this connection. */
function unread(response: ServerResponse): Record<string, string> {
  return response.req.complete ? {} : { Connection: 'close' };
}

export function openEventStream(response: ServerResponse, headers: Record<string, string> = {}) {
  response.writeHead(200, {
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-store, no-transform',
    'X-Accel-Buffering': 'no',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
  });
  response.flushHeaders();
  // A client may leave in the middle of a write; `close` tells of it.
  response.on('error', () => undefined);
}

export function isJson(contentType: string | undefined): boolean {
  return /^application\/json\s*(;|$)/i.test(contentType?.trim() ?? '');
}

/** True when the Accept header lets every one of the types through. A missing header accepts nothing: MCP requires it. */
export function accepts(header: string | undefined, ...types: string[]): boolean {
  const ranges = (header ?? '')
    .toLowerCase()
    .split(',')
    .map((range) => range.split(';')[0]?.trim());
  return types.every(
    (type) => ranges.includes(type) || ranges.includes('*/*') || ranges.includes(`${type.split('/')[0]}/*`),
  );
}

/** Both are accepted, and a stream is named first. */
export function prefersStream(header: string | undefined): boolean {
  const named = (header ?? '').toLowerCase();
  const json = named.indexOf('application/json');
  return json > named.indexOf('text/event-stream') && named.includes('text/event-stream');
}

const loopbackNames = ['localhost', '127.0.0.1', '[::1]'];

/**
 * Checks Host and Origin against where the gate really is, so that a page that rebinds its name to this address reaches
 * nothing. Loopback names count with the port that the request came in on, and only for a request that came over loopback.
 */
export function createAddressCheck(publicUrl: string, mutualTlsUrl = publicUrl) {
  const { origin: publicOrigin, protocol } = new URL(publicUrl);
  const origins = new Map([publicOrigin, new URL(mutualTlsUrl).origin].map((origin) => [new URL(origin).host, origin]));
  const isTls = ({ socket }: IncomingMessage) => 'encrypted' in socket;
  return {
    /** Undefined when the request is for us; else why not. */
    refusal(request: IncomingMessage): string | undefined {
      const { host, origin } = request.headers;
      const name = host?.toLowerCase();
      if (name === undefined || !(origins.has(name) || loopbackHosts(request).includes(name)))
        return `This is not ${host === undefined ? 'a named host' : JSON.stringify(host.slice(0, 200))}; the gate is at ${publicOrigin}.`;
      if (origin === undefined || origin === publicOrigin) return undefined;
      const scheme = isTls(request) ? 'https' : 'http';
      if (loopbackHosts(request).some((here) => origin === `${scheme}://${here}`)) return undefined;
      return 'Requests from this origin are not accepted.';
    },
    /** The address as the client wrote it, for DPoP's `htu`. Only after `refusal` let the request through. */
    urlOf(request: IncomingMessage, path: string): string {
      const host = request.headers.host?.toLowerCase() ?? '';
      return `${origins.get(host) ?? `${isTls(request) ? 'https:' : protocol}//${host}`}${path}`;
    },
  };
}

function loopbackHosts({ socket }: IncomingMessage): string[] {
  const { localAddress, localPort } = socket;
  if (localAddress === undefined || !/^(127\.|::1$|::ffff:127\.)/.test(localAddress)) return [];
  return loopbackNames.flatMap((name) =>
    localPort === 80 || localPort === 443 ? [name, `${name}:${localPort}`] : [`${name}:${localPort}`],
  );
}
