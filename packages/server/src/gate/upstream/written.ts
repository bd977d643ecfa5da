/** A way in which a value may stand in a text. */
export interface Written {
  /** How it begins: quickly looked for. */
  head: RegExp;
  /** All of it. Only made where the head was found. */
  whole(): RegExp;
}

const HEAD_UNITS = 16;
/** More than enough to make the head of. */
const HEAD_OF = 32;
/** Longer values are looked for in slices: a pattern of more would not be compiled any more. */
const SLICE = 2_048;

/**
 * A value as it is, with any of its characters as JSON (also in texts inside texts), URLs, HTML and shells write them; in hexadecimal; and in base64, wherever
 * it stands in what was encoded, with the characters at both ends that hold a part of it.
 */
export function writtenWays(value: string): Written[] {
  return slicesOf([...value]).flatMap((slice, at) => {
    const bytes = Buffer.from(slice.join(''));
    return [
      written(slice, plainUnits),
      written(bytes, hexUnits),
      ...literalsOf(slice.join('')).flatMap((literal) =>
        [0, 1, 2].map((before) => written(Buffer.from(literal), (some) => base64Units(some, before, at > 0))),
      ),
    ];
  });
}

function written<T extends string[] | Buffer>(value: T, unitsOf: (value: T) => string[]): Written {
  let whole: RegExp | undefined;
  return {
    head: new RegExp(
      unitsOf(value.slice(0, HEAD_OF) as T)
        .slice(0, HEAD_UNITS)
        .join(''),
    ),
    whole: () => (whole ??= new RegExp(unitsOf(value).join(''), 'g')),
  };
}

function slicesOf(characters: string[]): string[][] {
  const count = Math.ceil(characters.length / SLICE);
  const size = Math.ceil(characters.length / count);
  return Array.from({ length: count }, (_, at) => characters.slice(at * size, (at + 1) * size));
}

/** What base64 is made of where text that was already written for something else is encoded. */
function literalsOf(value: string): string[] {
  const json = JSON.stringify(value).slice(1, -1);
  return [...new Set([value, json, json.replaceAll('/', '\\/'), encodeURIComponent(value.toWellFormed())])];
}

/** A backslash, that may itself be written for JSON, a URL or HTML. */
const BACKSLASH = '(?:\\\\u005[cC]|\\\\|%(?:25){0,2}5[cC]|&(?:amp;){0,2}#(?:0{0,4}92|[xX]0{0,4}5[cC]);)';

/** A unit for each character, but one for a run of backslashes: each of them may be doubled, and what follows may be escaped, too. */
function plainUnits(characters: string[]): string[] {
  return (characters.join('').match(/\\+|[^\\]/gsu) ?? []).map((part) =>
    part.startsWith('\\') ? `${BACKSLASH}{${part.length},${8 * part.length}}` : unitOf(part),
  );
}

const escapes: Record<string, string> = { '\n': 'n', '\r': 'r', '\t': 't', '\b': 'b', '\f': 'f' };
const entities: Record<string, string> = { '"': 'quot', '&': 'amp', "'": 'apos', '<': 'lt', '>': 'gt' };

/** Letters and digits are written as they are by everything that does not mean to hide them. */
function unitOf(character: string): string {
  if (/[A-Za-z0-9]/.test(character)) return character;
  const code = character.codePointAt(0) as number;
  const utf16 = [...Array(character.length).keys()].map((at) => character.charCodeAt(at));
  const escaped = [utf16.map((unit, at) => `${at > 0 ? `${BACKSLASH}{1,8}` : ''}u${hex(unit, 4)}`).join('')];
  if (code < 256) escaped.push(`x${hex(code, 2)}`);
  if (escapes[character]) escaped.push(escapes[character]);
  const entity = entities[character] ? `${entities[character]}|` : '';
  // The longer before the shorter: `%` is `%25` in a URL.
  const itself = [
    [...Buffer.from(character)].map((byte) => `%(?:25){0,2}${hex(byte, 2)}`).join(''),
    `&(?:amp;){0,2}(?:${entity}#0{0,4}${code}|#[xX]0{0,4}${hex(code, 1)});`,
    literal(character),
  ];
  if (character === ' ') itself.push('\\+');
  return `(?:${BACKSLASH}{0,8}(?:${itself.join('|')})|${BACKSLASH}{1,8}(?:${escaped.join('|')}))`;
}

/** Bytes, however they are told apart. */
const hexUnits = (bytes: Buffer): string[] =>
  [...bytes].map(
    (byte, at) => `(?:${at > 0 ? '[ :,-]|, |' : ''}\\\\{1,8}x|%|${at > 0 ? ',? ?' : ''}0x)?${hex(byte, 2)}`,
  );

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
/** Encoders break lines. */
const BREAK = '(?:[\\r\\n]|\\\\{1,8}[rn]){0,4}';

/** With so many bytes before it, as far as base64 cares. Where it goes on, the slice before it may have taken the character that they share. */
function base64Units(bytes: Buffer, before: number, goesOn: boolean): string[] {
  const [first, last] = [8 * before, 8 * (before + bytes.length)];
  const bits = Buffer.concat([Buffer.alloc(before), bytes, Buffer.alloc(2)]);
  const units: string[] = [];
  for (let at = Math.floor(first / 6) * 6; at < last; at += 6) {
    const sextet = ((bits.readUInt16BE(at >> 3) << (at & 7)) >> 10) & 63;
    const known = (63 >> Math.max(0, first - at)) & (63 << Math.max(0, at + 6 - last)) & 63;
    const fitting = known === 63 ? [alphabet.charAt(sextet)] : fittingOf(sextet, known);
    units.push(`${units.length === 0 ? '' : BREAK}(?:${fitting.map(base64Unit).join('|')})`);
  }
  if (goesOn) units[0] += '?';
  return units;
}

const fittingOf = (sextet: number, known: number): string[] =>
  [...alphabet].filter((_, value) => (value & known) === (sextet & known));

const base64Unit = (character: string): string =>
  character === '+' ? `${unitOf('+')}|-` : character === '/' ? `${unitOf('/')}|_` : character;

const hex = (value: number, digits: number): string =>
  value
    .toString(16)
    .padStart(digits, '0')
    .replaceAll(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);

const literal = (character: string): string => character.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
