import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Where a verb writes: answers to standard output, everything about the way there to standard error. */
export interface Output {
  /** The answer is for a program. */
  readonly json: boolean;
  print(text: string): void;
  /** The answer as JSON; on one line when it is one of many. */
  printJson(value: unknown, options?: { line?: boolean }): void;
  /** Columns as wide as they need to be; with `--json` nothing is printed. */
  table(headings: string[], rows: string[][]): void;
  /** Names and values below each other; empty values are left out. */
  facts(facts: [string, string | number | null | undefined][]): void;
  note(text: string): void;
  /** Only on a terminal, and not with NO_COLOR. */
  style(style: Style, text: string): string;
}

export function createOutput(json: boolean): Output {
  const print = (text: string) => void process.stdout.write(`${text}\n`);
  const style = (style: Style, text: string) => styleText(style, text, { stream: process.stdout });
  return {
    json,
    print,
    printJson: (value, { line = false } = {}) => print(JSON.stringify(value, null, line ? undefined : 2)),
    table(headings, rows) {
      const cells = [headings, ...rows].map((row) => row.map(clean));
      const widths = headings.map((_, at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)));
      cells.forEach((row, index) => {
        const line = row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join('  ');
        print(index === 0 ? style('bold', line) : line);
      });
    },
    facts(facts) {
      const shown = facts.filter(([, value]) => value !== null && value !== undefined && value !== '');
      const width = Math.max(0, ...shown.map(([name]) => name.length));
      for (const [name, value] of shown) print(`${style('bold', name.padEnd(width))}  ${clean(String(value))}`);
    },
    note: (text) => void process.stderr.write(`${text}\n`),
    style,
  };
}

/**
 * What agents and tools wrote must not steer the terminal of who reads it: controls, direction marks and invisible characters are
 * shown as escapes. Line ends too, so that one value cannot look like two lines.
 */
export function clean(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\u{e0000}-\u{e007f}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** JSON for people, over several lines and still free of what steers a terminal. */
export function cleanJson(value: unknown, indent = ''): string {
  return JSON.stringify(value, null, 2)
    .split('\n')
    .map((line) => indent + clean(line))
    .join('\n');
}

export function timeOf(milliseconds: number | null | undefined): string {
  return milliseconds == null ? '' : new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');
}
