import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, type JsonObject } from '../../../platform/index.ts';
import type { JsonRpcError } from '../../upstream/types.ts';
import { isLogLevel } from '../agent-side.ts';
import { clientCapabilitiesKey, clientInfoKey, modernVersions, protocolVersionKey } from '../classify.ts';
import { decodeHeaderValue } from '../param-headers.ts';
import { codes, type RpcRequest } from '../rpc.ts';

/** What a request says of itself (2026-07-28, basic: per-request protocol fields). */
export interface Envelope {
  capabilities: JsonObject;
  logLevel: string | null;
  progressToken: string | number | undefined;
}

/** Refused before anything is decided: HTTP status and error. */
export class Rejection extends Error {
  override readonly name = 'Rejection';
  readonly status: number;
  readonly error: JsonRpcError;

  constructor(status: number, error: JsonRpcError) {
    super(error.message);
    this.status = status;
    this.error = error;
  }
}

/**
 * Checks `_meta` and that the headers say what the body says: who routes by a header and who acts on the body must see one request.
 * Throws Rejection (400).
 */
export function readEnvelope(headers: IncomingHttpHeaders, { method, params }: RpcRequest): Envelope {
  const meta = isJsonObject(params._meta) ? params._meta : {};
  const version = meta[protocolVersionKey];
  if (typeof version !== 'string') throw invalid(`"_meta" lacks ${protocolVersionKey}.`);
  const header = headers['mcp-protocol-version'];
  if (header !== version)
    throw mismatch(`The header MCP-Protocol-Version is ${quoted(header)}, the body says ${quoted(version)}.`);
  if (!modernVersions.includes(version))
    throw new Rejection(400, {
      code: codes.unsupportedVersion,
      message: 'Unsupported protocol version.',
      data: { supported: modernVersions, requested: version },
    });
  const capabilities = meta[clientCapabilitiesKey];
  if (!isJsonObject(capabilities)) throw invalid(`"_meta" lacks ${clientCapabilitiesKey}, or it is no object.`);
  if (meta[clientInfoKey] !== undefined && !isJsonObject(meta[clientInfoKey]))
    throw invalid(`${clientInfoKey} is no object.`);
  if (headers['mcp-method'] !== method)
    throw mismatch(`The header Mcp-Method is ${quoted(headers['mcp-method'])}, the body says ${quoted(method)}.`);
  checkName(headers, method, params);
  const logLevel = meta['io.modelcontextprotocol/logLevel'] ?? null;
  if (logLevel !== null && !isLogLevel(logLevel)) throw invalid('There is no such log level.');
  const { progressToken } = meta;
  return {
    capabilities,
    logLevel,
    progressToken: typeof progressToken === 'string' || typeof progressToken === 'number' ? progressToken : undefined,
  };
}

/** Where `Mcp-Name` comes from. */
const nameMember: Record<string, string> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
};

function checkName(headers: IncomingHttpHeaders, method: string, params: JsonObject): void {
  const member = Object.hasOwn(nameMember, method) ? nameMember[method] : undefined;
  const value = member === undefined ? undefined : params[member];
  if (typeof value !== 'string') return;
  const header = headers['mcp-name'];
  if (typeof header !== 'string') throw mismatch(`The header Mcp-Name is missing; the body has ${member}.`);
  const decoded = decodeHeaderValue(header);
  if (decoded === undefined) throw mismatch('The header Mcp-Name is not valid Base64.');
  if (decoded !== value) throw mismatch(`The header Mcp-Name is ${quoted(decoded)}, the body says ${quoted(value)}.`);
}

/** Printed by the client that sent it, so bounded. */
function quoted(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(String(value).slice(0, 200));
}

const invalid = (message: string) => new Rejection(400, { code: codes.invalidParams, message });

export const mismatch = (message: string) => new Rejection(400, { code: codes.headerMismatch, message });
