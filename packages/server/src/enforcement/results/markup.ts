import { applyCuts, type Cut } from './cuts.ts';
import { htmlCuts, type MarkupRules } from './html.ts';
import { resultLimits } from './limits.ts';
import { readMarkdown } from './markdown.ts';
import { count, type RemovedKind, type Tally } from './tally.ts';

const hasTag = /<[a-z!?/]/i;

/**
 * Takes out what is in a text for the machine only (comments, elements that nobody sees) and what would be fetched when the text, or an
 * answer that quotes it, is shown: the way out for what an agent knows. Code in Markdown is shown as it is, and stays.
 */
export function cleanMarkup(text: string, rules: MarkupRules, tally: Tally): string {
  const hasImage = text.includes('![');
  const hasHtml = hasTag.test(text);
  if (!hasImage && !hasHtml) return text;
  const onCut = ({ kind }: { kind: RemovedKind }) => count(tally.removed, kind);
  const cutHtml = (from: string): string => {
    if (!hasHtml) return from;
    if (from.length > resultLimits.parsedHtmlChars) return asPlainText(from, /<(?=[a-z!?/])/gi, '&lt;', tally);
    return applyCuts(from, htmlCuts(from, rules), onCut);
  };
  // A document of HTML is no Markdown: what looks like code in it is not shown as code.
  const isDocument = /^\s*</.test(text);
  const readsAsMarkdown = canReadMarkdown(text, tally);
  if (!isDocument && readsAsMarkdown && (hasImage || text.includes('`'))) {
    const { cuts, code } = readMarkdown(text, rules);
    const inHtml: Cut[] = hasHtml ? htmlCuts(blank(text, code), rules) : [];
    return applyCuts(text, [...cuts, ...inHtml], onCut);
  }
  const clean = cutHtml(text);
  if (!hasImage) return clean;
  return readsAsMarkdown
    ? applyCuts(clean, readMarkdown(clean, rules).cuts, onCut)
    : asPlainText(clean, /!(?=\[)/g, '!\\', tally);
}

/**
 * Whether the parser will be done with it soon. It goes through a block once for each bracket that nothing closes, and through what is left of
 * a run of spaces, or of markers at the beginning of a line, once for each of them. What a message has used up, its other texts have not.
 */
function canReadMarkdown(text: string, tally: Tally): boolean {
  if (text.length > resultLimits.parsedMarkdownChars) return false;
  let work = text.length * resultLimits.parsedMarkdownWorkPerChar;
  for (const block of text.split(/\n[ \t>]*\n/)) work += block.length * (block.match(/[[<`(*_]/g)?.length ?? 0);
  for (const [run] of text.matchAll(/ {64,}|^[>*+\-\d.) \t]{64,}/gm)) work += (run.length * run.length) / 2;
  if (tally.markdownWork + work > resultLimits.parsedMarkdownWork) return false;
  tally.markdownWork += work;
  return true;
}

/** Too much for a parser: what begins tags and images becomes the characters that it is written with. */
function asPlainText(text: string, what: RegExp, instead: string, tally: Tally): string {
  return text.replace(what, () => {
    count(tally.removed, 'unparsed-markup');
    return instead;
  });
}

/** The same text with spaces in these ranges. */
function blank(text: string, ranges: [number, number][]): string {
  const parts: string[] = [];
  let at = 0;
  for (const [from, to] of ranges) {
    if (from < at) continue;
    parts.push(text.slice(at, from), ' '.repeat(to - from));
    at = to;
  }
  parts.push(text.slice(at));
  return parts.join('');
}
