import { isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import { isSecretMember } from './credentials.ts';
import { filterText, looksLikeJson, mapJsonText } from './filter.ts';
import type { MarkupRules } from './html.ts';
import { maskText, type Placeholder } from './mask.ts';
import { count, type Tally } from './tally.ts';

/** What is done to everything that a task hears from one tool. */
export interface CleanRules {
  markup: MarkupRules;
  /** Slugs of sensitive data that are named instead of shown. */
  mask: ReadonlySet<string>;
  placeholder: Placeholder;
}

/** What the protocol itself needs as it is. What stands in structured content under these names is data like any other. */
const verbatim = new Set(
  'type role mimeType level taskId nextCursor cursor requestState resultType cacheScope progressToken createdAt lastUpdatedAt lastModified'.split(
    ' ',
  ),
);
const VERBATIM_CHARS = 4_096;
const related = 'io.modelcontextprotocol/related-task';

/**
 * A message of a server without what nobody sees in it, and with sensitive data named. Types stay: a string remains a string; what is
 * neither string nor name of a member (numbers, pictures, files) is not touched. What needs no change is given back as it is.
 */
export function cleanMessage(message: Json, rules: CleanRules, tally: Tally): Json {
  const text = (value: string, member?: string) => cleanText(value, member, rules, tally);

  function protocol(value: Json): Json {
    if (typeof value === 'string') return text(value);
    if (Array.isArray(value)) return mapArray(value, protocol);
    if (!isJsonObject(value)) return value;
    const isPicture = value.type === 'image' || value.type === 'audio';
    return mapObject(value, (member, name) => {
      if (name === 'structuredContent') return data(member);
      if (name === 'inputRequests' || name === related) return member;
      if (typeof member === 'string') {
        if (verbatim.has(name) && member.length <= VERBATIM_CHARS) return member;
        if (name === 'blob' || (name === 'data' && isPicture)) return member;
        return text(member);
      }
      return protocol(member);
    });
  }

  function data(value: Json, member?: string): Json {
    if (typeof value === 'string') return text(value, member);
    if (Array.isArray(value)) return mapArray(value, (each) => data(each, member));
    if (!isJsonObject(value)) return value;
    return mapObject(value, data, (name) => text(name));
  }

  return protocol(message);
}

function cleanText(
  value: string,
  member: string | undefined,
  { markup, mask, placeholder }: CleanRules,
  tally: Tally,
): string {
  const readable = filterText(value, markup, tally);
  if (mask.size === 0) return readable;
  const masked = (each: string, name: string | undefined): string => {
    if (name !== undefined && mask.has('credentials') && isSecretMember(name, each)) {
      count(tally.masked, 'secret');
      return placeholder('secret', each);
    }
    return maskText(each, mask, placeholder, tally);
  };
  return looksLikeJson(readable) ? mapJsonText(readable, masked) : masked(readable, member);
}

function mapArray(value: Json[], map: (member: Json) => Json): Json[] {
  let changed = false;
  const mapped = value.map((member) => {
    const after = map(member);
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
