import type { Obligations } from '@gatehouse/protocol';
import { GatehouseError, isJsonObject, type Json } from '../../platform/index.ts';
import type { RegisteredTool } from '../../registry/index.ts';
import type { Sent } from '../types.ts';

export interface Size {
  items: number;
  bytes: number;
}

/** Lists below this depth are parts of items, and no longer lists of them. */
const DEPTH = 6;

/** Results; an error, or a word about a running task, has none of these. */
const isResult = (body: Json): boolean =>
  isJsonObject(body) && ['content', 'contents', 'messages', 'structuredContent'].some((member) => member in body);

/** A task that is over may say its result within what it says of itself. */
const resultIn = (body: Json): Json =>
  isJsonObject(body) && !isResult(body) && isJsonObject(body.result) && isResult(body.result) ? body.result : body;

/** Why a result waits for a person; null when it does not. */
export function whyHeld(
  { ref, labels }: Pick<RegisteredTool, 'ref' | 'labels'>,
  limit: Obligations['limit'] | undefined,
  answer: Json,
): { reason: string; size: Size } | null {
  const body = resultIn(answer);
  const items = Math.min(labels.hold?.items ?? Number.POSITIVE_INFINITY, limit ?? Number.POSITIVE_INFINITY);
  const bytes = labels.hold?.bytes ?? Number.POSITIVE_INFINITY;
  if ((items === Number.POSITIVE_INFINITY && bytes === Number.POSITIVE_INFINITY) || !isResult(body)) return null;
  const size = sizeOf(body);
  const over = [
    ...(size.items > items ? [`${size.items} items (at most ${items})`] : []),
    ...(size.bytes > bytes ? [`${size.bytes} bytes (at most ${bytes})`] : []),
  ];
  return over.length === 0 ? null : { reason: `The result of ${ref} has ${over.join(' and ')}.`, size };
}

export const mayBeHeld = (
  { labels }: Pick<RegisteredTool, 'labels'>,
  limit: Obligations['limit'] | undefined,
): boolean => labels.hold !== null || limit != null;

/** An error whose data would be held were it a result: nobody releases errors, so that it comes without. */
export function withoutExcess(
  tool: Parameters<typeof whyHeld>[0],
  limit: Obligations['limit'] | undefined,
  sent: Sent,
): Sent {
  const { body } = sent;
  if (sent.result !== 'failure' || !isJsonObject(body) || isResult(body)) return sent;
  const { code, message, data } = body;
  const said = { content: [{ type: 'text', text: String(message) }], structuredContent: data ?? null };
  if (!whyHeld(tool, limit, said)) return sent;
  return { ...sent, body: { code: code ?? null, message: String(message).slice(0, ERROR_CHARS) } };
}

const ERROR_CHARS = 500;

const bytesOf = (value: Json) => Buffer.byteLength(JSON.stringify(value));

/** Why a server may not ask this of a client in the middle of a call whose result would be held. */
export function whyNotAsked({ ref, labels }: Pick<RegisteredTool, 'ref' | 'labels'>, asked: Json) {
  const most = labels.hold?.bytes;
  const bytes = most === undefined ? 0 : bytesOf(asked);
  if (most === undefined || bytes <= most) return undefined;
  return {
    code: 'result.too-large',
    reason: `What the server asks in the middle of ${ref} has ${bytes} bytes (at most ${most}, as its result may have without being held).`,
  };
}

/** What one call says ahead of its answer: no more than its result may have without being held. */
export function createAhead({ ref, labels }: Pick<RegisteredTool, 'ref' | 'labels'>) {
  const most = labels.hold?.bytes;
  let bytes = 0;
  return {
    /** Throws once it is too much. */
    count(message: Json): void {
      if (most === undefined) return;
      bytes += bytesOf(message);
      if (bytes > most)
        throw new GatehouseError(
          'too-large',
          'result.too-large',
          `${ref} has said more than ${most} bytes ahead of its answer, so that no more of it is passed on.`,
        );
    },
  };
}

/** Bytes as JSON, and items: the longest list in what is structured, or in a text that is JSON; lists in the members of a list count together. */
export function sizeOf(answer: Json): Size {
  const body = resultIn(answer);
  const lengths = new Map<string, number>();
  const visit = (value: Json, path: string, depth: number): void => {
    if (depth > DEPTH || typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) {
      lengths.set(path, (lengths.get(path) ?? 0) + value.length);
      for (const each of value) visit(each, `${path}.*`, depth + 1);
    } else for (const [name, member] of Object.entries(value)) visit(member, `${path}.${name}`, depth + 1);
  };
  const { content, contents, messages, structuredContent } = isJsonObject(body) ? body : {};
  visit(structuredContent ?? null, 'structured', 0);
  for (const blocks of [content, contents, messages]) {
    if (!Array.isArray(blocks)) continue;
    lengths.set('blocks', Math.max(lengths.get('blocks') ?? 0, blocks.length));
    for (const block of blocks)
      if (isJsonObject(block) && typeof block.text === 'string') visit(parsed(block.text), 'text', 0);
  }
  return { items: Math.max(0, ...lengths.values()), bytes: bytesOf(body) };
}

function parsed(text: string): Json {
  if (!/^\s*[[{]/.test(text)) return null;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}
