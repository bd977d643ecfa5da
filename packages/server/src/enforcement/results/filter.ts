import { cleanCharacters } from './characters.ts';
import type { MarkupRules } from './html.ts';
import { cleanMarkup } from './markup.ts';
import type { Tally } from './tally.ts';

const mayNeedMarkup = /!\[|<[a-z!?/]/i;

/** One text without what a person would not see in it, and without what leaves when it is shown. */
export function filterText(text: string, rules: MarkupRules, tally: Tally): string {
  const readable = cleanCharacters(text, tally);
  if (!mayNeedMarkup.test(readable)) return readable;
  return looksLikeJson(readable)
    ? mapJsonText(readable, (each) => cleanMarkup(each, rules, tally))
    : cleanMarkup(readable, rules, tally);
}

export function looksLikeJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Every string of a JSON text, with all else in it as it was written: numbers keep their digits, members their order. */
export const mapJsonText = (text: string, map: (text: string) => string): string =>
  text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"/gs, (literal) => {
    const before = JSON.parse(literal) as string;
    const after = map(before);
    return before === after ? literal : JSON.stringify(after);
  });
