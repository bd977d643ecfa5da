import type { ArgumentRole } from '@gatehouse/protocol';
import { addressesIn, amountsIn, canonical, canonicalPath, canonicalUrl } from './canonical.ts';
import { flowLimits } from './limits.ts';

/**
 * Whether a text that somebody vouches for names exactly this value (in its canonical writing): as a word of its own, not as a part of
 * another one. `bob@corp.example.evil.example` does not name `bob@corp.example`, and `order 1042` does not name 42.
 */
export function holdsValue(text: string, wanted: string, role: ArgumentRole): boolean {
  switch (role) {
    case 'recipient':
      return wanted.includes('@') ? holdsAddress(text, wanted) : holdsName(text, wanted);
    case 'account':
      return wanted.includes('@') ? holdsAddress(text, wanted) : holdsAccount(text, wanted);
    case 'url':
      return words(text).some((word) => canonicalUrl(word) === wanted);
    case 'path':
      return words(text).some((word) => canonicalPath(word) === wanted) || holdsName(text, wanted);
    case 'amount':
      for (const amount of amountsIn(text)) if (amount === wanted) return true;
      return false;
    case 'identifier':
      return /^\d{1,3}$/.test(wanted) ? holdsNumber(text, wanted) : holdsName(text, wanted);
    case 'credential':
    case 'command':
      return wanted.length >= 4 && holdsExactly(text.normalize('NFC'), wanted);
    default:
      return holdsName(text, wanted);
  }
}

/** Numbers are written in groups: what is long enough to be one thing may be taken apart by single signs. */
function holdsAccount(text: string, wanted: string): boolean {
  if (wanted.length < 4 || wanted.length > 64) return false;
  const between = wanted.length >= 8 ? String.raw`[\s.\-_]?` : '';
  const letters = Array.from(wanted, (letter) => letter.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&'));
  return new RegExp(String.raw`(?<![\p{L}\p{N}_])${letters.join(between)}(?![\p{L}\p{N}_])`, 'iu').test(text);
}

function holdsAddress(text: string, wanted: string): boolean {
  return addressesIn(text).some((each) => canonical(each, 'recipient') === wanted);
}

const words = (text: string) =>
  text
    .split(/[\s<>"“”„«»|]+/u)
    .filter((word) => word.length <= flowLimits.valueChars)
    .flatMap((word) => [word, withoutEnd(word.replace(/^[('[{‘]+/u, ''), ")']}’.,;:!?")])
    .filter((word) => word !== '');

/** Step by step: a pattern that is bound to the end alone is tried from each sign of a long row of them. */
function withoutEnd(text: string, signs: string): string {
  let end = text.length;
  while (end > 0 && signs.includes(text[end - 1] as string)) end--;
  return text.slice(0, end);
}

const holdsName = (text: string, wanted: string) =>
  wanted.length >= 2 && holdsExactly(text.normalize('NFC').replace(/\s+/g, ' ').toLowerCase(), wanted);

const inWord = /[\p{L}\p{N}_]/u;
/** Signs that go on with a word when another letter follows. */
const joins = /[@.\-/\\:+%&=#~'’]/;

function holdsExactly(text: string, wanted: string): boolean {
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
    const end = at + wanted.length;
    if (isOutside(text[at - 1], text[at - 2]) && isOutside(text[end], text[end + 1])) return true;
  }
  return false;
}

/** `next` is beyond a word, and what follows it does not belong to one either. */
function isOutside(next: string | undefined, beyond: string | undefined): boolean {
  if (next === undefined) return true;
  if (inWord.test(next)) return false;
  return !joins.test(next) || beyond === undefined || !inWord.test(beyond);
}

/** Whether a text names this day (`2026-01-31`): so, or as `January 31st`, `31 Jan 2026`, `31.1.2026`. */
export function holdsDay(text: string, day: string): boolean {
  const [year = '', month = '', date = ''] = day.split('-');
  const name = months[Number(month) - 1];
  if (holdsExactly(text, day)) return true;
  if (name === undefined) return false;
  const [m, d] = [Number(month), Number(date)];
  const words = String.raw`${name}[a-z]{0,6}\.?`;
  const own = String.raw`0?${d}(?:st|nd|rd|th|\.)?`;
  const others = String.raw`(?:,?\s{1,3}${year})?(?!,?\s{0,3}\d)`;
  return [
    String.raw`\b${words}\s{1,3}${own}${others}`,
    String.raw`\b${own}\s{1,3}(?:of\s{1,3})?${words}${others}`,
    String.raw`\b0?${d}\.\s?0?${m}\.\s?${year}\b`,
  ].some((pattern) => new RegExp(pattern, 'i').test(text));
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** A short number names a thing only where it is no part of a date, a time, an amount or a count of something. */
function holdsNumber(text: string, wanted: string): boolean {
  const found = new RegExp(
    String.raw`(?:^|[\s("'“‘[])(?:[#]|(?:ids?|no\.?|nr\.?|n°|number|num)\s{0,3}[:=#]?\s{0,3}["'“‘]?)(${wanted})(?![\p{L}\p{N}]|[.,:/\-%]\p{N})|["'“‘](${wanted})["'”’]`,
    'iu',
  );
  return found.test(text);
}

/** Addresses of places that a text names: with a scheme, with `www.`, or with a path behind a host. */
export const urlsIn = (text: string): string[] =>
  Array.from(text.matchAll(urls), ([each]) => withoutEnd(each, '.,;:!?’'));

const urls =
  /(?:[a-z][a-z0-9+.-]{1,20}:\/\/|www\.)[^\s<>"'“”()[\]{}|\\^`]+|[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){1,8}\/[^\s<>"'“”()[\]{}|\\^`]*/giu;
