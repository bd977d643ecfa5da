/** Longest text that is made, and how deep groups may lie. */
const MAX_CHARS = 200;
const MAX_DEPTH = 20;

/**
 * A short text that fits a regular expression, as far as it is made of characters, classes, groups, alternatives and counts. Undefined
 * where it has more. The expression is read once and never run.
 */
export function textOfPattern(pattern: string): string | undefined {
  let at = 0;
  const fail = (): never => {
    throw new RangeError('not understood');
  };

  function alternatives(depth: number): string {
    if (depth > MAX_DEPTH) fail();
    const first = sequence(depth);
    while (pattern[at] === '|') {
      at++;
      sequence(depth);
    }
    return first;
  }

  function sequence(depth: number): string {
    let text = '';
    while (at < pattern.length && pattern[at] !== '|' && pattern[at] !== ')') {
      const piece = atom(depth);
      text += piece.repeat(count());
      if (text.length > MAX_CHARS) fail();
    }
    return text;
  }

  function atom(depth: number): string {
    const char = pattern[at++] as string;
    if (char === '^' || char === '$') return '';
    if (char === '.') return 'x';
    if (char === '[') return ofClass();
    if (char === '\\') return escaped();
    if (char !== '(') return '*+?{'.includes(char) ? fail() : char;
    if (pattern[at] === '?') {
      if (!/^\?(:|<\w+>)/.test(pattern.slice(at))) fail();
      at = pattern.indexOf(pattern[at + 1] === ':' ? ':' : '>', at) + 1;
    }
    const inner = alternatives(depth + 1);
    if (pattern[at++] !== ')') fail();
    return inner;
  }

  function escaped(): string {
    const char = pattern[at++] ?? fail();
    const known: Record<string, string> = { d: '1', w: 'a', s: ' ', D: 'x', S: 'x', W: '-' };
    if (char === 'b') return '';
    if (char in known) return known[char] as string;
    return /[A-Za-z0-9]/.test(char) ? fail() : char;
  }

  /** The first of a class; of one that leaves things out, a letter or digit that it does not name. */
  function ofClass(): string {
    const end = pattern.slice(at).search(/(?<!\\)\]/);
    if (end < 0) fail();
    const body = pattern.slice(at, at + end);
    at += end + 1;
    if (body.startsWith('^')) return [...'xa1-'].find((char) => !body.includes(char)) ?? fail();
    if (body.startsWith('\\')) return { d: '1', w: 'a', s: ' ' }[body[1] ?? ''] ?? body[1] ?? fail();
    return body[0] ?? fail();
  }

  function count(): number {
    const found = /^(\*|\+|\?|\{(\d+)(?:,\d*)?\})\??/.exec(pattern.slice(at, at + 20));
    if (!found) return 1;
    at += found[0].length;
    if (found[2] !== undefined) return Math.min(Number(found[2]), MAX_CHARS + 1);
    return found[1] === '+' ? 1 : 0;
  }

  try {
    const text = alternatives(0);
    return at === pattern.length ? text : undefined;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
