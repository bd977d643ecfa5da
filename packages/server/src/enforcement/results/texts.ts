import { isJsonObject, type Json } from '../../platform/index.ts';
import { isExactNumber } from './exact-json.ts';
import { isFile, isOfTheProtocol, type Place, placeIn } from './protocol-names.ts';

/** A longer id is looked at like any text. */
const ID_CHARS = 64;

/**
 * Every text of a message, in one order, with what `map` makes of it. Also names of members in structured content
 * and in `_meta`, which may be texts: two that become the same are told apart.
 */
export function mapTexts(message: Json, map: (text: string) => string): Json {
  function visit(value: Json, isData: boolean, place: Place, depth: number): Json {
    if (typeof value === 'string') return value === '' ? value : map(value);
    if (depth > MAX_DEPTH || typeof value !== 'object' || value === null || isExactNumber(value)) return value;
    if (Array.isArray(value)) return value.map((each) => visit(each, isData, place, depth + 1));
    const members = new Map<string, Json>();
    for (const [name, member] of Object.entries(value)) {
      let called = isData ? map(name) : name;
      while (members.has(called)) called += '~';
      const isProtocols =
        !isData &&
        typeof member === 'string' &&
        (isFile(name, member, value, place) || isOfTheProtocol(name, member, { place, idChars: ID_CHARS }));
      const isFree = isData || name === 'structuredContent' || name === '_meta';
      members.set(called, isProtocols ? member : visit(member, isFree, placeIn(place, name), depth + 1));
    }
    return isJsonObject(value) ? Object.fromEntries(members) : value;
  }
  return visit(message, false, 'message', 0);
}

/** Of what the gate reads at most; see `platform/json.ts`. */
const MAX_DEPTH = 2_000;
