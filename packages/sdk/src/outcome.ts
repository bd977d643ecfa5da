import { ApprovalPending, GatehouseRefusal, OutcomeUncertain } from './errors.ts';

/** The members of an MCP tool result that are read here; results of both SDKs fit. */
export interface ToolResultLike {
  content?: unknown;
  isError?: boolean | undefined;
  _meta?: { [key: string]: unknown } | undefined;
}

export type Stopped = GatehouseRefusal | ApprovalPending | OutcomeUncertain;

/** What the gate did instead of running the tool, from its result; undefined when the tool itself answered. */
export function stoppedResult({ _meta: meta, content }: ToolResultLike): Stopped | undefined {
  if (!meta) return undefined;
  const text = firstText(content);
  const { 'gatehouse/decision': decision, 'gatehouse/approval': approval, 'gatehouse/outcome': outcome } = meta;
  return refusal(decision, text) ?? pending(approval, text) ?? uncertain(outcome, text);
}

/** The same from a JSON-RPC error, as both SDKs throw it: what is no tool call is answered by one. */
export function stoppedError(error: unknown): Stopped | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('data' in error)) return undefined;
  const { code, data } = error;
  const options = { cause: error };
  if (code === RPC.refused) return refusal(data, error.message, options);
  if (code === RPC.waiting) return pending(data, error.message, options);
  if (code === RPC.unknown || code === RPC.notSent) return uncertain(data, error.message, options);
  return undefined;
}

/**
 * Awaits a call and gives its result, unless the gate stopped it.
 * Throws GatehouseRefusal, ApprovalPending, OutcomeUncertain, and what the call itself throws.
 */
export async function unlessStopped<T extends ToolResultLike>(call: Promise<T>): Promise<T> {
  const result = await call.catch((error: unknown) => {
    throw stoppedError(error) ?? error;
  });
  const stopped = stoppedResult(result);
  if (stopped) throw stopped;
  return result;
}

/** The gate's own JSON-RPC codes (docs/reference/errors.md). */
const RPC = { refused: 1001, waiting: 1002, unknown: 1003, notSent: 1004 } as const;

function refusal(data: unknown, text: string, options?: ErrorOptions): GatehouseRefusal | undefined {
  if (!isRecord(data) || typeof data.code !== 'string') return undefined;
  return new GatehouseRefusal(data.code, text || `Refused: ${data.code}`, textOrNull(data.action_id), options);
}

function pending(data: unknown, text: string, options?: ErrorOptions): ApprovalPending | undefined {
  if (!isRecord(data) || typeof data.id !== 'string' || typeof data.url !== 'string') return undefined;
  const seconds = typeof data.retryAfterSeconds === 'number' ? data.retryAfterSeconds : 10;
  return new ApprovalPending(data.id, data.url, seconds, text || `Waiting for approval at ${data.url}`, options);
}

function uncertain(data: unknown, text: string, options?: ErrorOptions): OutcomeUncertain | undefined {
  if (!isRecord(data) || (data.state !== 'unknown' && data.state !== 'not-sent')) return undefined;
  return new OutcomeUncertain(data.state, text || `Outcome: ${data.state}`, textOrNull(data.action_id), options);
}

function firstText(content: unknown): string {
  if (!Array.isArray(content)) return '';
  const found: unknown = content.find((part: unknown) => isRecord(part) && typeof part.text === 'string');
  return isRecord(found) ? String(found.text) : '';
}

const textOrNull = (value: unknown) => (typeof value === 'string' ? value : null);

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
