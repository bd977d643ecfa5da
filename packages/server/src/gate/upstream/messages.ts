import { GatehouseError, isJsonObject, type JsonObject, limits, parseStrictJson } from '../../platform/index.ts';
import { type JsonRpcError, type ServerMessage, type UpstreamAnswer, UpstreamFailure } from './types.ts';

export type MessageId = string | number;

/** One JSON-RPC message from a server, checked as far as routing needs. What is inside a result is the server's affair. */
export type IncomingMessage =
  | { kind: 'answer'; id: MessageId; answer: UpstreamAnswer }
  /** An error about something the server could not read: it names no request. */
  | { kind: 'orphan-error'; error: JsonRpcError }
  | ({ kind: 'request'; id: MessageId } & ServerMessage)
  | ({ kind: 'notification' } & ServerMessage);

export const rpcErrors = {
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  /** 2026-07-28 */
  unsupportedProtocolVersion: -32022,
} as const;

export const violation = (detail: string, cause?: unknown): UpstreamFailure =>
  new UpstreamFailure('violation', detail, { cause });

/** `batches`: whether one text may hold several messages (2025-03-26 only). Throws `violation`. */
export function readMessages(bytes: Uint8Array, batches: boolean): IncomingMessage[] {
  let value: unknown;
  try {
    value = parseStrictJson(bytes, limits.jsonDepth, 'rounded');
  } catch (cause) {
    if (!(cause instanceof GatehouseError)) throw cause;
    // The parser's own words quote the input, and what a server says must not speak through our errors.
    throw violation(`The server sent what is no acceptable JSON (${cause.code}).`, cause);
  }
  if (!Array.isArray(value)) return [readMessage(value)];
  if (!batches) throw violation('The server sent a JSON-RPC batch, which its protocol version does not have.');
  if (value.length > limits.upstreamMessagesPerCall) throw violation('The server sent an enormous JSON-RPC batch.');
  return value.map(readMessage);
}

function readMessage(value: unknown): IncomingMessage {
  if (!isJsonObject(value) || value.jsonrpc !== '2.0')
    throw violation('The server sent what is no JSON-RPC 2.0 message.');
  const { id, method, params, result, error } = value;
  if (method !== undefined) return readCall(id, method, params);
  if (isJsonObject(error) && result === undefined) {
    const read = readError(error);
    if (id === undefined || id === null) return { kind: 'orphan-error', error: read };
    return { kind: 'answer', id: readId(id), answer: { error: read } };
  }
  if (!isJsonObject(result) || error !== undefined)
    throw violation('The server sent a JSON-RPC answer with neither a result object nor an error object.');
  return { kind: 'answer', id: readId(id), answer: { result } };
}

function readCall(id: unknown, method: unknown, params: unknown): IncomingMessage {
  if (typeof method !== 'string' || method.length > 200)
    throw violation('The server sent a JSON-RPC message whose method is no name.');
  if (params !== undefined && !isJsonObject(params))
    throw violation('The server sent a JSON-RPC message whose params are no object.');
  const message: ServerMessage = { method, params: params ?? {} };
  return id === undefined ? { kind: 'notification', ...message } : { kind: 'request', id: readId(id), ...message };
}

function readId(id: unknown): MessageId {
  if (Number.isSafeInteger(id) || (typeof id === 'string' && id.length <= 200)) return id as MessageId;
  throw violation('The server sent a JSON-RPC message whose id is neither an integer nor a short string.');
}

function readError(error: JsonObject): JsonRpcError {
  const { code, message, data } = error;
  if (!Number.isSafeInteger(code) || typeof message !== 'string')
    throw violation('The server sent a JSON-RPC error without code and message.');
  return { code: code as number, message, ...(data !== undefined && { data }) };
}
