import { foldLookAlikes } from '../../registry/index.ts';
import { flowLimits } from './limits.ts';

/** What two writings of one value share: case, accents, look-alike letters and invisible characters are gone. */
export function fold(text: string): string {
  return isAscii(text) ? text.toLowerCase() : foldLookAlikes(text);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
const isAscii = (text: string) => /^[\x00-\x7f]*$/.test(text);

/** Letters and digits of a folded text alone, so that it does not matter how a value is spaced, hyphenated or taken apart. */
export const squeeze = (folded: string): string => folded.replace(/[^\p{L}\p{N}]+/gu, '');

/** The same with the words that stand for signs in addresses left out: `name (at) host dot example`. */
const spelledOut = /\b(?:at|dot|punkt|punto|point|slash|dash|colon)\b/g;
export function squeezeSpelledOut(folded: string): string | undefined {
  const plain = folded.replace(spelledOut, '');
  return plain.length === folded.length ? undefined : squeeze(plain);
}

export const reversed = (text: string): string => Array.from(text).reverse().join('');

export const rot13 = (text: string): string =>
  text.replace(/[a-z]/g, (letter) => String.fromCharCode(((letter.charCodeAt(0) - 84) % 26) + 97));

const encodedWord = /[A-Za-z0-9+/_-]{8,}={0,2}/g;
const entity = /&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|(amp|lt|gt|quot|apos|nbsp|commat|period|colon|sol|num));/gi;
const named: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  commat: '@',
  period: '.',
  colon: ':',
  sol: '/',
  num: '#',
};
const escapes = /\\(?:u\{?([0-9a-f]{4,6})\}?|x([0-9a-f]{2}))/gi;

/** What a text says once more when it is decoded: percent and JavaScript escapes, HTML entities, base64 and hexadecimal words. */
export function decodings(text: string): string[] {
  const found: string[] = [];
  const add = (decoded: string | undefined) => {
    if (decoded !== undefined && decoded !== text) found.push(decoded);
  };
  if (text.includes('%')) add(unescapePercent(text));
  if (text.includes('&'))
    add(
      text.replace(entity, (all, hex, decimal, name) =>
        name === undefined
          ? character(Number.parseInt(hex ?? decimal, hex === undefined ? 10 : 16))
          : (named[name.toLowerCase()] ?? all),
      ),
    );
  if (text.includes('\\'))
    add(text.replace(escapes, (_, unicode, byte) => character(Number.parseInt(unicode ?? byte, 16))));
  let words = 0;
  for (const [word] of text.matchAll(encodedWord)) {
    if (++words > flowLimits.encodedWords) break;
    if (word.length > flowLimits.encodedChars) continue;
    add(printable(Buffer.from(word, 'base64')));
    if (/^[0-9a-f]+$/i.test(word) && word.length % 2 === 0) add(printable(Buffer.from(word, 'hex')));
  }
  return found;
}

const character = (code: number) =>
  code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : '';

/** Each run of percent-encoded bytes for itself, so that one which is no text does not keep the others. */
export function unescapePercent(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
    try {
      return decodeURIComponent(run);
    } catch {
      return run;
    }
  });
}

/** Bytes as text, if they are one. */
function printable(bytes: Buffer): string | undefined {
  if (bytes.length < 4) return undefined;
  const text = bytes.toString('utf8');
  return /^[\P{C}\s]+$/u.test(text) && !text.includes('\ufffd') ? text : undefined;
}
