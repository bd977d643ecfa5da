import { isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import { isSecretMember } from './credentials.ts';
import { exactJson, isExactNumber } from './exact-json.ts';
import { type Field, inMember, maskedAt } from './fields.ts';
import { filterText, looksLikeJson, mapJsonText } from './filter.ts';
import type { MarkupRules } from './html.ts';
import { maskText, type Placeholder } from './mask.ts';
import { isFile, isOfTheProtocol, type Place, placeIn } from './protocol-names.ts';
import { count, type Tally } from './tally.ts';

/** What is done to everything that a task hears from one tool. */
export interface CleanRules {
  markup: MarkupRules;
  /** Slugs of sensitive data that are named instead of shown. */
  mask: ReadonlySet<string>;
  /** Parts of the structured result that are masked whole. */
  fields: readonly Field[];
  /** The whole result is of a kind that no detector knows and that is to be masked. */
  whole: string | null;
  placeholder: Placeholder;
}

/** A longer id of the protocol is text. */
const ID_CHARS = 4_096;
/** Shorter values of masked parts stand in any text by chance; more of them than this are not looked for. */
const KNOWN_CHARS = 4;
const KNOWN_VALUES = 200;
const isPlaceholder = /^\[[a-z][a-z0-9-]{0,60} #[0-9a-z]{7}\]$/;

/**
 * A message of a server without what nobody sees in it, and with sensitive data named. Types stay: a string remains a string, numbers,
 * pictures and files are not touched; only a number or boolean in a part that is masked whole becomes null. What needs no change is
 * given back as it is.
 */
export function cleanMessage(message: Json, rules: CleanRules, tally: Tally): Json {
  const { mask, placeholder, fields, whole } = rules;
  const known = new Map<string, string>();
  /** A part that is masked was there. */
  let isMatched = false;

  function protocol(value: Json, place: Place): Json {
    if (typeof value === 'string') return loose(value);
    if (Array.isArray(value)) return mapArray(value, (each) => protocol(each, place));
    if (!isJsonObject(value)) return value;
    return mapObject(value, (member, name) => {
      if (name === 'structuredContent') return structuredPart(member);
      // Decided on each by itself, and cleaned there.
      if (name === 'inputRequests') return member;
      // A form: what is asked for, in the words of JSON Schema.
      if (name === 'requestedSchema') return data(member, undefined, []);
      if (
        name === 'audience' &&
        Array.isArray(member) &&
        member.every((each) => typeof each === 'string' && isOfTheProtocol(name, each, { place, idChars: 0 }))
      )
        return member;
      if (typeof member === 'string') {
        if (isOfTheProtocol(name, member, { place, idChars: ID_CHARS })) return member;
        if (isFile(name, member, value, place)) return member;
        return name === 'uri' ? text(member) : loose(member);
      }
      return protocol(member, placeIn(place, name));
    });
  }

  function data(value: Json, member: string | undefined, within: readonly Field[]): Json {
    const kind = whole ?? maskedAt(within);
    if (kind !== undefined) {
      isMatched = true;
      return masked(value, kind);
    }
    if (typeof value === 'string') return text(value, member);
    if (Array.isArray(value))
      return mapArray(value, (each, index) => data(each, member, inMember(within, String(index))));
    if (!isJsonObject(value) || isExactNumber(value)) return value;
    return mapObject(
      value,
      (each, name) => data(each, name, inMember(within, name)),
      (name) => text(name),
    );
  }

  /** Everything in it is named; what is no text is gone. */
  function masked(value: Json, kind: string): Json {
    if (value === null) return value;
    if (Array.isArray(value)) return value.map((each) => masked(each, kind));
    if (isJsonObject(value) && !isExactNumber(value)) return mapObject(value, (each) => masked(each, kind));
    const shown = typeof value === 'string' ? value : JSON.stringify(value);
    // Masked when it was held, and looked at again when it is given out: it keeps its name.
    if (isPlaceholder.test(shown)) return value;
    if (shown.length >= KNOWN_CHARS && known.size < KNOWN_VALUES) known.set(shown, kind);
    count(tally.masked, kind);
    return typeof value === 'string' ? placeholder(kind, value) : null;
  }

  /**
   * A text beside the structured part, or without one. INVARIANT: where parts are masked whole, a text in which they can't be told from the
   * rest, because it is no JSON that has them, is masked whole.
   */
  function loose(value: string): string {
    if (fields.length === 0 || whole !== null || value.trim() === '') return text(value);
    isMatched = false;
    const shown = looksLikeJson(value) ? text(value) : value;
    return isMatched ? shown : (masked(value, fields[0]?.kind as string) as string);
  }

  function text(value: string, member?: string): string {
    if (value === '') return value;
    if (whole !== null) return masked(value, whole) as string;
    const filtered = filterText(value, rules.markup, tally);
    // By its parts first: what is known would not leave it JSON.
    if (fields.length > 0 && looksLikeJson(filtered)) return exactJson(filtered, structuredPart);
    const readable = withoutKnown(filtered);
    if (mask.size === 0) return readable;
    return looksLikeJson(readable) ? mapJsonText(readable, maskedString) : maskedString(readable, member);
  }

  function maskedString(value: string, member: string | undefined): string {
    if (member !== undefined && mask.has('credentials') && isSecretMember(member, value)) {
      count(tally.masked, 'secret');
      return placeholder('secret', value);
    }
    return maskText(value, mask, placeholder, tally);
  }

  /** What stood in a masked part is masked wherever else the result says it. */
  function withoutKnown(value: string): string {
    let left = value;
    for (const [each, kind] of known) {
      if (!left.includes(each)) continue;
      count(tally.masked, kind);
      left = left.replaceAll(each, placeholder(kind, each));
    }
    return left;
  }

  /** The same paths are meant by whoever wraps a list, which MCP's structured results can't be, into `{ result: […] }`. */
  function structuredPart(value: Json): Json {
    if (!isJsonObject(value) || Object.keys(value).length !== 1 || value.result === undefined)
      return data(value, undefined, fields);
    return { result: data(value.result, undefined, [...fields, ...inMember(fields, 'result')]) };
  }

  function result(body: JsonObject): JsonObject {
    // First what is known to be sensitive, so that it is found in the text that says it again.
    const { structuredContent: structured, result: inner, ...rest } = body;
    const inside = isJsonObject(inner) ? result(inner) : inner;
    const structuredContent = structured === undefined ? undefined : structuredPart(structured);
    const shown = protocol(rest, 'message') as JsonObject;
    return {
      ...shown,
      ...(structuredContent !== undefined && { structuredContent }),
      ...(inside !== undefined && { result: isJsonObject(inside) ? inside : protocol(inside, 'message') }),
    };
  }

  return fields.length === 0 || !isJsonObject(message) ? protocol(message, 'message') : result(message);
}

function mapArray(value: Json[], map: (member: Json, index: number) => Json): Json[] {
  let changed = false;
  const mapped = value.map((member, index) => {
    const after = map(member, index);
    changed ||= after !== member;
    return after;
  });
  return changed ? mapped : value;
}

function mapObject(
  value: JsonObject,
  map: (member: Json, name: string) => Json,
  rename: (name: string) => string = (name) => name,
): JsonObject {
  let changed = false;
  const names = new Set<string>();
  const mapped = Object.entries(value).map(([name, member]): [string, Json] => {
    const after = map(member, name);
    let called = rename(name);
    while (names.has(called)) called += '~';
    names.add(called);
    changed ||= after !== member || called !== name;
    return [called, after];
  });
  // Entries and not assignments: `__proto__` is a name like any other.
  return changed ? Object.fromEntries(mapped) : value;
}
