import { type Effort, STEPWISE_COST, spend } from './effort.ts';
import { decodings, fold, squeeze, unescapePercent } from './fold.ts';

/** The ways in which a value may be a writing of another one. */
export function needlesOf(text: string): { folded: string; squeezed: string }[] {
  const all = new Set([text, unescapePercent(text), ...decodings(text)].map((form) => fold(form).trim()));
  return [...all]
    .map((folded) => ({ folded: folded.replace(/^[@#]/, ''), squeezed: squeeze(folded) }))
    .filter(({ folded }) => folded !== '');
}

/** Longer ones are looked for in a way whose time does not grow with their own length, however often they repeat themselves. */
export const LONG = 64;

export function holds(text: string, value: string, effort: Effort): boolean {
  if (!spend(effort, text.length)) return true;
  if (value.length <= LONG) return text.includes(value);
  if (!text.includes(value.slice(0, LONG))) return false;
  return !spend(effort, text.length * STEPWISE_COST) || longestStart(text, value) === value.length;
}

/** How many of a value's first characters stand somewhere in a text, in one pass over both (Knuth, Morris and Pratt). */
export function longestStart(text: string, value: string): number {
  const back = new Int32Array(value.length);
  const next = (matched: number, code: number): number => {
    let at = matched;
    while (at > 0 && (at === value.length || value.charCodeAt(at) !== code)) at = back[at - 1] as number;
    return value.charCodeAt(at) === code ? at + 1 : at;
  };
  for (let at = 1; at < value.length; at++) back[at] = next(back[at - 1] as number, value.charCodeAt(at));
  let longest = 0;
  for (let at = 0, matched = 0; at < text.length && longest < value.length; at++) {
    matched = next(matched, text.charCodeAt(at));
    if (matched > longest) longest = matched;
  }
  return longest;
}

export function holdsWord(text: string, word: string, effort: Effort): boolean {
  if (word === '') return false;
  if (!spend(effort, text.length)) return true;
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1))
    if (!isInWord(text, at - 1) && !isInWord(text, at + word.length)) return true;
  return false;
}

function isInWord(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  if (code < 128) return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39);
  return !Number.isNaN(code) && /[\p{L}\p{N}]/u.test(text[at] as string);
}
