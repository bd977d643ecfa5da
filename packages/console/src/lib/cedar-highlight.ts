import type { Place } from '@gatehouse/protocol';

export type Ink = 'comment' | 'string' | 'annotation' | 'effect' | 'word' | 'number' | 'entity' | 'plain';

export interface Span {
  text: string;
  ink: Ink;
  /** A place that is wrong is in it. */
  marked: boolean;
}

/** For the eye only: what a text means is said by the official parser, at the server. */
const TOKEN =
  /(?<comment>\/\/[^\n]*)|(?<string>"(?:[^"\\\n]|\\.)*"?)|(?<annotation>@[A-Za-z_]\w*)|(?<effect>\b(?:permit|forbid)\b)|(?<word>\b(?:when|unless|if|then|else|in|is|has|like|true|false|principal|action|resource|context)\b)|(?<number>\b\d+\b)|(?<entity>\b[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*(?=::"))/g;

/** Beyond this a text is shown without colours. */
const MOST_COLOURED = 200_000;

export function cedarSpans(text: string, places: readonly Place[] = []): Span[] {
  const marks = places.map((place) => rangeOf(text, place));
  return inked(text).flatMap((span) => split(span, marks));
}

function inked(text: string): { text: string; ink: Ink; at: number }[] {
  if (text.length > MOST_COLOURED) return [{ text, ink: 'plain', at: 0 }];
  const spans: { text: string; ink: Ink; at: number }[] = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > end) spans.push({ text: text.slice(end, match.index), ink: 'plain', at: end });
    const [ink = 'plain'] = Object.entries(match.groups ?? {}).find(([, value]) => value !== undefined) ?? [];
    spans.push({ text: match[0], ink: ink as Ink, at: match.index });
    end = match.index + match[0].length;
  }
  if (end < text.length) spans.push({ text: text.slice(end), ink: 'plain', at: end });
  return spans;
}

function split(span: { text: string; ink: Ink; at: number }, marks: readonly [number, number][]): Span[] {
  const end = span.at + span.text.length;
  const cuts = new Set([span.at, end]);
  for (const edge of marks.flat()) if (edge > span.at && edge < end) cuts.add(edge);
  const edges = [...cuts].sort((a, b) => a - b);
  return edges.slice(1).map((to, index) => {
    const from = edges[index] ?? 0;
    const marked = marks.some(([start, stop]) => start < to && stop > from);
    return { text: span.text.slice(from - span.at, to - span.at), ink: span.ink, marked };
  });
}

/** Where a place is in the text, at least one character long where there is one. */
export function rangeOf(text: string, { line, column, endLine, endColumn }: Place): [number, number] {
  const start = offsetOf(text, line, column);
  return [start, Math.min(Math.max(offsetOf(text, endLine, endColumn), start + 1), text.length)];
}

function offsetOf(text: string, line: number, column: number): number {
  let at = 0;
  for (let passed = 1; passed < line; passed++) {
    const next = text.indexOf('\n', at);
    if (next === -1) return text.length;
    at = next + 1;
  }
  return Math.min(at + column - 1, text.length);
}
