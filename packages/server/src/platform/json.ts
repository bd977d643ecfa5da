import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { limits } from './config.ts';
import { GatehouseError } from './errors.ts';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** RFC 8785 canonical form: the one text that is hashed. */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new GatehouseError('bad-request', 'json.not-canonical', 'The value has no JSON form.');
  return text;
}

export function sha256Hex(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** `sha256-` and the hex digest of the canonical form; the notation of every digest in records and definitions. */
export function digestJson(value: unknown): string {
  return `sha256-${sha256Hex(canonicalJson(value))}`;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Parses JSON from outside strictly: UTF-8 only, bounded depth, no duplicate keys, no `__proto__` members, no lone surrogates.
 * Two parsers that read one text differently are how a gate is passed, so whatever could be read two ways is refused.
 */
export function parseStrictJson(bytes: Uint8Array, maxDepth: number = limits.jsonDepth): Json {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    throw new GatehouseError('bad-request', 'json.not-utf8', 'The body is not valid UTF-8.', { cause });
  }
  scanJson(text, maxDepth);
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new GatehouseError(
      'bad-request',
      'json.malformed',
      `The body is not valid JSON: ${(cause as Error).message}`,
      { cause },
    );
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Walks the text once, looking only at structure; JSON.parse then checks the grammar. */
function scanJson(text: string, maxDepth: number): void {
  const keysOf: (Set<string> | null)[] = [];
  let expectKey = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x7b: // {
        if (keysOf.push(new Set()) > maxDepth) throw tooDeep(maxDepth);
        expectKey = true;
        break;
      case 0x5b: // [
        if (keysOf.push(null) > maxDepth) throw tooDeep(maxDepth);
        expectKey = false;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        keysOf.pop();
        expectKey = false;
        break;
      case 0x2c: // ,
        expectKey = keysOf.at(-1) instanceof Set;
        break;
      case 0x22: {
        const start = at;
        let escaped = false;
        for (at++; at < text.length && text.charCodeAt(at) !== 0x22; at++) {
          if (text.charCodeAt(at) === 0x5c) {
            escaped = true;
            at++;
          }
        }
        const keys = keysOf.at(-1);
        if (escaped || expectKey) checkString(text.slice(start, at + 1), expectKey ? (keys ?? null) : null);
        expectKey = false;
        break;
      }
    }
  }
}

function checkString(literal: string, keys: Set<string> | null): void {
  let value: string;
  try {
    value = JSON.parse(literal) as string;
  } catch (cause) {
    throw new GatehouseError('bad-request', 'json.malformed', 'The body is not valid JSON: a string is malformed.', {
      cause,
    });
  }
  if (!value.isWellFormed())
    throw new GatehouseError('bad-request', 'json.lone-surrogate', 'A string holds half a surrogate pair.');
  if (!keys) return;
  if (value === '__proto__')
    throw new GatehouseError('bad-request', 'json.forbidden-key', 'The key "__proto__" is not accepted.');
  if (keys.has(value))
    throw new GatehouseError(
      'bad-request',
      'json.duplicate-key',
      `The key ${literal.slice(0, 80)} stands twice in one object.`,
    );
  keys.add(value);
}

const tooDeep = (maxDepth: number) =>
  new GatehouseError('bad-request', 'json.too-deep', `The body is nested deeper than ${maxDepth} levels.`);
