import { cleanCharacters } from './characters.ts';
import type { MarkupRules } from './html.ts';
import { cleanMarkup } from './markup.ts';
import type { Tally } from './tally.ts';

const mayNeedMarkup = /!\[|<[a-z!?/]/i;

/** One text without what a person would not see in it, and without what leaves when it is shown. */
export function filterText(text: string, rules: MarkupRules, tally: Tally): string {
  const readable = cleanCharacters(text, tally);
  if (rules.keep || !mayNeedMarkup.test(readable)) return readable;
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

/**
 * Every string of a JSON text, with all else in it as it was written: numbers keep their digits, members their order. `member` is the
 * name under which it stands.
 */
export function mapJsonText(text: string, map: (text: string, member: string | undefined) => string): string {
  let member: { name: string; end: number } | undefined;
  return text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"(\s*:\s*)?/gs, (found, colon: string | undefined, offset: number) => {
    const literal = colon === undefined ? found : found.slice(0, -colon.length);
    const before = JSON.parse(literal) as string;
    const after = map(before, member?.end === offset ? member.name : undefined);
    member = colon === undefined ? undefined : { name: before, end: offset + found.length };
    return before === after ? found : `${JSON.stringify(after)}${colon ?? ''}`;
  });
}
