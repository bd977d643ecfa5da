import type { Json, JsonObject } from '../../platform/index.ts';
import type { JsonRpcError, UpstreamAnswer } from '../upstream/types.ts';

/**
 * JSON-RPC codes that the door gives. Ours are positive: MCP 2026-07-28 (basic, Error Codes) reserves -32099…-32020 for itself,
 * closes -32019…-32000, and asks for codes outside of JSON-RPC's reserved range. Documented in docs/reference/errors.md.
 */
export const codes = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  headerMismatch: -32020,
  missingCapability: -32021,
  unsupportedVersion: -32022,
  /** 2025-11-25 only; never sent to a 2026-07-28 client. */
  urlElicitationRequired: -32042,
  /** Policy says no; `data` has the decision. */
  refused: 1001,
  /** A person has to approve first; `data` has the approval. Ask again later. */
  waiting: 1002,
  /** Sent, and nobody knows what came of it. Never repeat it blindly. */
  unknown: 1003,
  /** The server could not be reached, or broke the protocol; it surely did not run. */
  upstream: 1004,
  /** The agent was killed, the task ended, or the gate shuts down. */
  ended: 1005,
  /** No valid token, or not for this. */
  unauthenticated: 1006,
  /** Too much at once, too large, or too slow. */
  limit: 1007,
} as const;

export type RequestId = string | number;

export interface RpcRequest {
  kind: 'request';
  id: RequestId;
  method: string;
  params: JsonObject;
}

export interface RpcNotification {
  kind: 'notification';
  method: string;
  params: JsonObject;
}

export interface RpcResponse {
  kind: 'response';
  id: RequestId | null;
  answer: UpstreamAnswer;
}

export type RpcMessage = RpcRequest | RpcNotification | RpcResponse;

export function errorAnswer(code: number, message: string, data?: Json): { error: JsonRpcError } {
  return { error: data === undefined ? { code, message } : { code, message, data } };
}

export function messageText(method: string, params: JsonObject): string {
  return `{"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":${JSON.stringify(params)}}`;
}

export function requestText(id: RequestId, method: string, params: JsonObject): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":${JSON.stringify(method)},"params":${JSON.stringify(params)}}`;
}

export function answerText(id: RequestId | null, answer: UpstreamAnswer): string {
  return 'error' in answer
    ? `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":${JSON.stringify(answer.error)}}`
    : `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${JSON.stringify(answer.result)}}`;
}
