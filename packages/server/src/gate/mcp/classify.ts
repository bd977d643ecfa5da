import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import type { Era } from '../upstream/types.ts';

/** The one place that decides which era a request is of. The body says so; the header is checked against it later. */

export const protocolVersionKey = 'io.modelcontextprotocol/protocolVersion';
export const clientInfoKey = 'io.modelcontextprotocol/clientInfo';
export const clientCapabilitiesKey = 'io.modelcontextprotocol/clientCapabilities';

export const modernVersions = ['2026-07-28'];

/**
 * - A message whose `params._meta` names a protocol version is of the stateless era, whatever version it names: an unknown one is
 *   answered there with the list of known ones.
 * - Without it, a header that names a stateless version still claims that era, and the missing `_meta` is an error there.
 * - `initialize`, batches, GET, DELETE and everything else are of the era with sessions.
 */
export function classify(headers: IncomingHttpHeaders, body: Json): Era {
  if (Array.isArray(body)) return '2025-11-25';
  const claimed = isJsonObject(body) ? metaOf(body)?.[protocolVersionKey] : undefined;
  if (claimed !== undefined) return '2026-07-28';
  const header = headers['mcp-protocol-version'];
  return typeof header === 'string' && modernVersions.includes(header) ? '2026-07-28' : '2025-11-25';
}

function metaOf(message: JsonObject): JsonObject | undefined {
  const { params } = message;
  return isJsonObject(params) && isJsonObject(params._meta) ? params._meta : undefined;
}
