import type { RegExpEngine } from 'ajv/dist/types/index.js';

/** Steps that one test may take at most: some tens of milliseconds. */
const MAX_STEPS = 1e8;

/**
 * Regular expressions that strangers wrote, tried on text that agents wrote: together they could hold up the gate for hours. One that
 * can backtrack exponentially is not tried at all, any other only on text short enough for its worst case. What is not tried
 * counts as matching: the tool checks its arguments itself, and nothing is decided by a pattern here.
 */
export const boundedRegExp: RegExpEngine = Object.assign(
  (pattern: string, flags: string) => {
    const expression = new RegExp(pattern, flags);
    const maxChars = maxCharsOf(pattern);
    return {
      test: (text: string) => text.length > maxChars || expression.test(text),
      // Ajv finds equal expressions by this.
      toString: () => expression.toString(),
      source: expression.source,
    } as unknown as ReturnType<RegExpEngine>;
  },
  { code: 'new RegExp' },
);

/**
 * With k parts of variable length, none within another, a test takes at most about n^(k+1) steps on n characters. INVARIANT: what is not
 * surely of this form gets 0.
 */
function maxCharsOf(pattern: string): number {
  let variable = 0;
  const groups: { varies: boolean }[] = [{ varies: false }];
  let closed: { varies: boolean } | undefined;
  for (let at = 0; at < pattern.length; at++) {
    const group = groups.at(-1) as { varies: boolean };
    const before = closed;
    closed = undefined;
    switch (pattern[at]) {
      case '\\':
        at++;
        // Back references.
        if (/[1-9k]/.test(pattern[at] ?? '')) return 0;
        break;
      case '[':
        for (at++; at < pattern.length && pattern[at] !== ']'; at++) if (pattern[at] === '\\') at++;
        break;
      case '(':
        if (/^\?(?!:)/.test(pattern.slice(at + 1, at + 3))) return 0;
        groups.push({ varies: false });
        break;
      case ')':
        closed = groups.pop();
        if (groups.length === 0) return 0;
        if (closed?.varies) (groups.at(-1) as { varies: boolean }).varies = true;
        break;
      case '|':
        group.varies = true;
        break;
      case '?':
        group.varies = true;
        break;
      case '*':
      case '+':
      case '{': {
        const [counts] = /^\{(\d+)(,\d*)?\}/.exec(pattern.slice(at)) ?? [];
        if (pattern[at] === '{' && counts === undefined) break;
        if (before?.varies) return 0;
        const [, exactly, upTo] = /^\{(\d+)(,\d*)?\}/.exec(counts ?? '') ?? [];
        if (exactly === undefined || upTo !== undefined) {
          variable++;
          group.varies = true;
        }
        if (counts) at += counts.length - 1;
        break;
      }
    }
  }
  return Math.floor(MAX_STEPS ** (1 / (variable + 1)));
}
