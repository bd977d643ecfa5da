import { isJsonObject, type Json } from '../../platform/index.ts';
import { isExactNumber } from './exact-json.ts';

/** Members of the protocol that hold its own words, ids and files. In structured content they are names like any other. */
const ofTheProtocol = new Set(
  'type role mimeType level status resultType taskId cursor nextCursor requestState'.split(' '),
);
const PROTOCOL_CHARS = 64;

/**
 * Every text of a message, in one order, with what `map` makes of it. Also names of members in structured content, which may be texts: two
 * that become the same are told apart.
 */
export function mapTexts(message: Json, map: (text: string) => string): Json {
  function visit(value: Json, isData: boolean, depth: number): Json {
    if (typeof value === 'string') return value === '' ? value : map(value);
    if (depth > MAX_DEPTH || typeof value !== 'object' || value === null || isExactNumber(value)) return value;
    if (Array.isArray(value)) return value.map((each) => visit(each, isData, depth + 1));
    const isPicture = value.type === 'image' || value.type === 'audio';
    const members = new Map<string, Json>();
    for (const [name, member] of Object.entries(value)) {
      let called = isData ? map(name) : name;
      while (members.has(called)) called += '~';
      const isFile = name === 'blob' || (name === 'data' && isPicture);
      const isProtocols =
        !isData &&
        typeof member === 'string' &&
        (isFile || (ofTheProtocol.has(name) && member.length <= PROTOCOL_CHARS));
      members.set(called, isProtocols ? member : visit(member, isData || name === 'structuredContent', depth + 1));
    }
    return isJsonObject(value) ? Object.fromEntries(members) : value;
  }
  return visit(message, false, 0);
}

/** Of what the gate reads at most; see `platform/json.ts`. */
const MAX_DEPTH = 2_000;
