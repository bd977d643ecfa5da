import { isIP } from 'node:net';
import { Agent, type Dispatcher, request } from 'undici';
import { AddressRefused, checkAddress, guardedLookup } from './address.ts';
import { GatehouseError } from './errors.ts';
import { type Json, parseStrictJson } from './json.ts';

/**
 * Calls to addresses that come from outside (issuers' key sets, client metadata, other trust domains): https, except to loopback
 * where it is allowed; the address is checked as it is connected to; redirects are never followed; size and time are bounded.
 * Tool servers are called by the gate, which keeps connections of its own.
 */
export interface Outbound {
  /** Any status is an answer. Throws `upstream` GatehouseErrors (`outbound.*`) that name the URL and say what to do. */
  fetch(url: string, options?: OutboundRequest): Promise<OutboundAnswer>;
  /** `fetch` of a JSON document: anything but 200 with strict JSON is an error. */
  fetchJson(url: string, options?: OutboundRequest): Promise<{ json: Json; headers: Record<string, string> }>;
  close(): Promise<void>;
}

export interface OutboundRequest {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** Loopback and private addresses, those also over http: only where an operator has said so. Link-local never. */
  allowPrivateAddress?: boolean;
  /** PEM certificates to trust instead of the system's. */
  ca?: string;
  maxBytes?: number;
  timeoutMs?: number;
}

export interface OutboundAnswer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

const MAX_BYTES = 512 * 1024;
const TIMEOUT_MS = 5_000;
const MAX_URL_CHARS = 2_048;
const JSON_DEPTH = 32;
/** One per set of certificates and kind of address; the oldest goes. */
const MAX_AGENTS = 64;

export function createOutbound(): Outbound {
  const agents = new Map<string, Agent>();

  const agentFor = (allowPrivate: boolean, isPlain: boolean, ca: string | undefined): Dispatcher => {
    const key = `${allowPrivate} ${isPlain} ${ca ?? ''}`;
    let agent = agents.get(key);
    if (!agent) {
      if (agents.size >= MAX_AGENTS) {
        const [oldest, first] = agents.entries().next().value as [string, Agent];
        agents.delete(oldest);
        first.close().catch(() => undefined);
      }
      agent = new Agent({
        connect: { lookup: guardedLookup(allowPrivate, isPlain), timeout: TIMEOUT_MS, ...(ca !== undefined && { ca }) },
        connections: 4,
        keepAliveTimeout: 4_000,
      });
      agents.set(key, agent);
    }
    return agent;
  };

  const call = async (url: string, options: OutboundRequest = {}): Promise<OutboundAnswer> => {
    const { allowPrivateAddress = false, maxBytes = MAX_BYTES, timeoutMs = TIMEOUT_MS } = options;
    const target = checkUrl(url, allowPrivateAddress);
    try {
      const answer = await request(target, {
        method: options.method ?? 'GET',
        dispatcher: agentFor(allowPrivateAddress, target.protocol === 'http:', options.ca),
        signal: AbortSignal.timeout(timeoutMs),
        headers: { accept: 'application/json', ...options.headers },
        ...(options.body !== undefined && { body: options.body }),
      });
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        size += chunk.byteLength;
        if (size > maxBytes) {
          answer.body.destroy();
          throw failed('too-large', url, `its answer has more than ${maxBytes} bytes`);
        }
        chunks.push(chunk);
      }
      const headers = Object.fromEntries(
        Object.entries(answer.headers).map(([name, value]) => [name, [value].flat().join(', ')]),
      );
      return { status: answer.statusCode, headers, body: Buffer.concat(chunks) };
    } catch (cause) {
      if (cause instanceof GatehouseError) throw cause;
      const refused = cause instanceof AddressRefused ? cause : (cause as Error).cause;
      if (refused instanceof AddressRefused) throw failed('address-refused', url, refused.message, cause);
      const reason = (cause as Error).name === 'TimeoutError' ? `no answer within ${timeoutMs} ms` : messageOf(cause);
      throw failed('unreachable', url, reason, cause);
    }
  };

  return {
    fetch: call,
    async fetchJson(url, options) {
      const { status, headers, body } = await call(url, options);
      if (status >= 300 && status < 400)
        throw failed('redirect', url, 'it redirects, which is not followed; give the address it redirects to');
      if (status !== 200) throw failed('status', url, `it answered ${status}`);
      try {
        return { json: parseStrictJson(body, JSON_DEPTH), headers };
      } catch (cause) {
        throw failed('not-json', url, `its answer is not JSON (${messageOf(cause)})`, cause);
      }
    },
    async close() {
      const all = [...agents.values()];
      agents.clear();
      await Promise.all(all.map((agent) => agent.destroy()));
    },
  };
}

function checkUrl(url: string, allowPrivate: boolean): URL {
  const target = url.length <= MAX_URL_CHARS ? URL.parse(url) : null;
  if (!target) throw failed('url', url.slice(0, 200), 'it is not a URL');
  if (target.username !== '' || target.password !== '') throw failed('url', target.host, 'it has a user in it');
  if (target.protocol !== 'https:' && !(target.protocol === 'http:' && allowPrivate))
    throw failed('url', url, 'it is not https');
  const literal = target.hostname.replace(/^\[|\]$/g, '');
  try {
    // A literal address is connected to without a lookup.
    if (isIP(literal) !== 0) checkAddress(literal, literal, allowPrivate, target.protocol === 'http:');
  } catch (cause) {
    throw failed('address-refused', url, messageOf(cause), cause);
  }
  return target;
}

const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause));

function failed(code: string, url: string, reason: string, cause?: unknown): GatehouseError {
  return new GatehouseError('upstream', `outbound.${code}`, `${url} could not be fetched: ${reason}.`, { cause });
}
