import type { Place } from '@gatehouse/protocol';

/** One policy in a text of several. */
export interface PolicyText {
  source: string;
  /** Of its first character in the whole text. */
  offset: number;
}

/**
 * The policies of a text that the official parser has taken, in the order in which they stand there. (What it gives itself is in the order
 * of names, where `policy10` comes before `policy2`.) Outside of strings and comments `;` ends a policy, and stands nowhere else.
 */
export function splitPolicies(text: string): PolicyText[] {
  const found: PolicyText[] = [];
  let offset: number | undefined;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|\/\/[^\n]*|[^\s"/;]+|[;/]/gs)) {
    if (token.startsWith('//')) continue;
    offset ??= index;
    if (token !== ';') continue;
    found.push({ source: text.slice(offset, index + 1), offset });
    offset = undefined;
  }
  return found;
}

export function placeOf(text: string, start: number, end: number = start): Place {
  const [line, column] = lineAndColumn(text, start);
  const [endLine, endColumn] = lineAndColumn(text, Math.max(start, end));
  return { line, column, endLine, endColumn };
}

function lineAndColumn(text: string, offset: number): [number, number] {
  const before = text.slice(0, Math.max(0, offset));
  const from = before.lastIndexOf('\n') + 1;
  return [before.split('\n').length, before.length - from + 1];
}

/** The official engine counts bytes of UTF-8. */
export function fromByteOffset(text: string, bytes: number): number {
  return Buffer.from(text).subarray(0, bytes).toString().length;
}
