import { GatehouseError, isJsonObject, type JsonObject, type Outbound, parseStrictJson } from '../../platform/index.ts';
import type { OAuthLimits } from './limits.ts';

/** Calls to whatever addresses a tool server and its authorization server name: no redirect, no private address unless it is theirs. */
export interface GuardedFetch {
  /** For oauth4webapi. */
  fetch(
    url: string,
    options: { method: string; headers: Record<string, string>; body?: string | URLSearchParams | undefined },
  ): Promise<Response>;
  /** Undefined when there is no such document (4xx). Throws GatehouseError. */
  json(url: string): Promise<JsonObject | undefined>;
  /** True: the address may be loopback or private, and http. */
  mayBePrivate(url: string): boolean;
}

const JSON_DEPTH = 16;

/**
 * A server that an operator allows to live at a private address may have its authorization server beside it, on the same host, or on
 * one that the manifest names. Any other private address that a document names is refused: it would make the gate a way in.
 */
export function createGuardedFetch(
  outbound: Outbound,
  {
    named,
    allowPrivateAddress,
    ca,
  }: { named: readonly string[]; allowPrivateAddress: boolean; ca?: string | undefined },
  limits: OAuthLimits,
): GuardedFetch {
  const hosts = new Set(named.map((url) => new URL(url).hostname));
  const mayBePrivate = (url: string) => allowPrivateAddress && hosts.has(URL.parse(url)?.hostname ?? '');
  const bounds = { maxBytes: limits.oauthBytes, timeoutMs: limits.oauthTimeoutMs, ...(ca !== undefined && { ca }) };

  return {
    mayBePrivate,
    async fetch(url, { method, headers, body }) {
      const answer = await outbound.fetch(url, {
        method: method === 'POST' ? 'POST' : 'GET',
        headers,
        ...(body != null && { body: String(body) }),
        allowPrivateAddress: mayBePrivate(url),
        ...bounds,
      });
      if (answer.status >= 300 && answer.status < 400) throw redirects(url);
      const hasBody = answer.status !== 204 && answer.status !== 205;
      return new Response(hasBody ? new Uint8Array(answer.body) : null, {
        status: answer.status,
        headers: answer.headers,
      });
    },
    async json(url) {
      const { status, headers, body } = await outbound.fetch(url, {
        allowPrivateAddress: mayBePrivate(url),
        ...bounds,
      });
      if (status >= 300 && status < 400) throw redirects(url);
      if (status >= 400 && status < 500) return undefined;
      if (status !== 200) throw failed(url, `it answered ${status}`);
      // A site that shows a page for whatever it does not have.
      if (!/json/i.test(headers['content-type'] ?? '')) return undefined;
      let json: unknown;
      try {
        json = parseStrictJson(body, JSON_DEPTH);
      } catch (cause) {
        throw failed(url, 'its answer is not strict JSON', cause);
      }
      if (!isJsonObject(json)) throw failed(url, 'its answer is not a JSON object');
      return json;
    },
  };
}

const redirects = (url: string) => failed(url, 'it redirects, which is not followed');

function failed(url: string, reason: string, cause?: unknown): GatehouseError {
  return new GatehouseError('upstream', 'upstream.authorization', `${url} cannot be used: ${reason}.`, { cause });
}
