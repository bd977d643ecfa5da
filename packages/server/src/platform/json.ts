import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { limits } from './config.ts';
import { GatehouseError } from './errors.ts';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** RFC 8785 canonical form: the one text that is hashed. What is in its order already, or only has to be put into it, is written by the engine. */
export function canonicalJson(value: unknown): string {
  if (isCanonical(value)) return JSON.stringify(value);
  const ordered = inOrder(value);
  if (isCanonical(ordered)) return JSON.stringify(ordered);
  const text = canonicalize(value);
  if (text === undefined) throw new GatehouseError('bad-request', 'json.not-canonical', 'The value has no JSON form.');
  return text;
}

const MAX_DEPTH_LOOKED_AT = 32;

/**
 * Whether JSON.stringify gives the canonical form: members stand in its order (by UTF-16 code units), and no text or number is one
 * that JSON does not have. False where that is not known.
 */
export function isCanonical(value: unknown, depth = 0): boolean {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed();
    case 'number':
      return Number.isFinite(value);
    case 'boolean':
      return true;
    case 'object':
      break;
    default:
      return false;
  }
  if (value === null) return true;
  if (depth > MAX_DEPTH_LOOKED_AT) return false;
  if (Array.isArray(value)) return value.every((element) => isCanonical(element, depth + 1));
  if (Object.getPrototypeOf(value) !== Object.prototype || 'toJSON' in value) return false;
  let before: string | undefined;
  for (const key of Object.keys(value)) {
    if ((before !== undefined && before >= key) || !key.isWellFormed()) return false;
    if (!isCanonical((value as Record<string, unknown>)[key], depth + 1)) return false;
    before = key;
  }
  return true;
}

/** A copy whose members stand in order, as far as that is all that is to be done: `isCanonical` says of the copy whether it was. */
function inOrder(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH_LOOKED_AT) return value;
  if (Array.isArray(value)) return value.map((element) => inOrder(element, depth + 1));
  const copy: Record<string, unknown> = {};
  // Only a plain object is nothing but its members; and `__proto__` would be no member of the copy.
  const isPlain = Object.getPrototypeOf(value) === Object.prototype && !('toJSON' in value);
  if (!isPlain || Object.hasOwn(value, '__proto__')) return value;
  for (const key of Object.keys(value).sort()) copy[key] = inOrder((value as Record<string, unknown>)[key], depth + 1);
  return copy;
}

export function sha256Hex(data: string | Uint8Array): string {
  return hash('sha256', data, 'hex');
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
 * Two parsers that read one text differently are how a gate is passed, so whatever could be read two ways is refused: also numbers
 * that overflow, and whole numbers that would be rounded, since another number than the given one would be approved and sent.
 */
export function parseStrictJson(
  bytes: Uint8Array,
  maxDepth: number = limits.jsonDepth,
  /** `rounded`: whole numbers beyond 2^53 are taken as JavaScript reads them. Never for what is decided on. */
  numbers: 'exact' | 'rounded' = 'exact',
): Json {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    throw new GatehouseError('bad-request', 'json.not-utf8', 'The body is not valid UTF-8.', { cause });
  }
  scanJson(text, maxDepth, numbers);
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
function scanJson(text: string, maxDepth: number, numbers: 'exact' | 'rounded'): void {
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
      default:
        // The first digit of a number: what follows it is looked at once, and only if it can be too large.
        if (isDigit(text, at)) {
          const start = at;
          while (isNumeric(text, at + 1)) at++;
          const literal = text.slice(start, at + 1);
          if (literal.length > MAX_SAFE_DIGITS || /e/i.test(literal)) checkNumber(literal, numbers);
        }
    }
  }
}

const MAX_SAFE_DIGITS = 15;

const isDigit = (text: string, at: number) => text.charCodeAt(at) >= 0x30 && text.charCodeAt(at) <= 0x39;
const isNumeric = (text: string, at: number) => isDigit(text, at) || '.eE+-'.includes(text[at] ?? ' ');

function checkNumber(literal: string, numbers: 'exact' | 'rounded'): void {
  const value = Number(literal);
  // What is sent on is the value's own text, which must be the one that was given.
  const isRounded = numbers === 'exact' && /^\d+$/.test(literal) && String(value) !== literal;
  if (Number.isNaN(value) || (Number.isFinite(value) && !isRounded)) return;
  throw new GatehouseError(
    'bad-request',
    'json.number',
    `The number ${literal.slice(0, 40)} cannot be kept exactly. Send it as a string, if the receiver takes one.`,
  );
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
