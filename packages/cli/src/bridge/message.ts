export type Id = string | number;
export type Json = Record<string, unknown>;

/** One line of a local client: the text goes on as it is, the rest is for finding the way. */
export interface Message {
  text: string;
  kind: 'request' | 'notification' | 'response' | 'batch';
  id: Id | null;
  method: string;
  params: Json;
  /** The version that the message itself claims (2026-07-28 and later); undefined in the era with sessions. */
  version: string | undefined;
}

const protocolVersionKey = 'io.modelcontextprotocol/protocolVersion';

/** Undefined for what is no JSON-RPC message; the gate says what is wrong with one that only looks like it. */
export function readMessage(text: string): Message | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (Array.isArray(value)) return { text, kind: 'batch', id: null, method: '', params: {}, version: undefined };
  if (!isRecord(value)) return undefined;
  const { id, method } = value;
  const params = isRecord(value.params) ? value.params : {};
  const meta = isRecord(params._meta) ? params._meta : {};
  const version = meta[protocolVersionKey];
  const isId = typeof id === 'string' || typeof id === 'number';
  return {
    text,
    kind: typeof method !== 'string' ? 'response' : isId ? 'request' : 'notification',
    id: isId ? id : null,
    method: typeof method === 'string' ? method : '',
    params,
    version: typeof version === 'string' ? version : undefined,
  };
}

export function errorText(id: Id | null, code: number, message: string, data?: Json): string {
  return JSON.stringify({ jsonrpc: '2.0', id, error: { code, message, ...(data && { data }) } });
}

export function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
