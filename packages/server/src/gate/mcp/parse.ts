import { GatehouseError, isJsonObject, type Json } from '../../platform/index.ts';
import { codes, type RequestId, type RpcMessage } from './rpc.ts';

/** A message that is not JSON-RPC; the id is the request's where it could be read. */
export class InvalidMessage extends GatehouseError {
  readonly id: RequestId | null;
  readonly rpcCode: number;

  constructor(detail: string, id: RequestId | null = null, rpcCode: number = codes.invalidRequest) {
    super('bad-request', 'rpc.invalid', detail);
    this.id = id;
    this.rpcCode = rpcCode;
  }
}

/** Reads one JSON-RPC 2.0 message. MCP allows neither `null` ids nor parameters by position. */
export function readMessage(value: Json): RpcMessage {
  if (!isJsonObject(value)) throw new InvalidMessage('A JSON-RPC message is an object.');
  const id = readId(value.id);
  if (value.jsonrpc !== '2.0') throw new InvalidMessage('"jsonrpc" must be "2.0".', id ?? null);
  if ('method' in value) {
    if (typeof value.method !== 'string') throw new InvalidMessage('"method" must be a string.', id ?? null);
    if ('result' in value || 'error' in value)
      throw new InvalidMessage('A message is a request or a response, not both.', id ?? null);
    const params = value.params ?? {};
    if (!isJsonObject(params)) throw new InvalidMessage('"params" must be an object.', id ?? null);
    if ('_meta' in params && !isJsonObject(params._meta))
      throw new InvalidMessage('"params._meta" must be an object.', id ?? null, codes.invalidParams);
    if (!('id' in value)) return { kind: 'notification', method: value.method, params };
    if (id === undefined) throw new InvalidMessage('"id" must be a string or an integer.');
    return { kind: 'request', id, method: value.method, params };
  }
  if (isJsonObject(value.error) && !('result' in value)) {
    const { code, message, data } = value.error;
    if (typeof code !== 'number' || typeof message !== 'string')
      throw new InvalidMessage('An error has a code and a message.', id ?? null);
    return {
      kind: 'response',
      id: id ?? null,
      answer: { error: { code, message, ...(data !== undefined && { data }) } },
    };
  }
  if (isJsonObject(value.result) && !('error' in value) && id !== undefined)
    return { kind: 'response', id, answer: { result: value.result } };
  throw new InvalidMessage('The message is neither a request nor a notification nor a response.', id ?? null);
}

function readId(value: Json | undefined): RequestId | undefined {
  if (typeof value === 'string' && value.length <= 256) return value;
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined;
}
