import type { LocatedProblem } from '@gatehouse/protocol';
import { clean, type Output } from './output.ts';

const styles = { error: 'red', warning: 'yellow', info: 'cyan' } as const;

/** As compilers do: where, what, the line with what is meant underlined, and what to do. */
export function printProblems(problems: readonly LocatedProblem[], out: Output, base = ''): void {
  for (const problem of problems) {
    const { severity, code, message, help, source, at } = problem;
    out.print(
      `${out.style('bold', whereOf(problem, base))}: ${out.style(styles[severity], severity)}: ${clean(message)} [${code}]`,
    );
    if (source !== null && at) {
      const number = String(at.line);
      const shown = clean(source.replaceAll('\t', ' '));
      const length = at.endLine === at.line ? at.endColumn - at.column : source.length - at.column + 1;
      const caret = `${' '.repeat(Math.max(0, at.column - 1))}${'^'.repeat(Math.max(1, length))}`;
      out.print(`  ${number} | ${shown}`);
      out.print(`  ${' '.repeat(number.length)} | ${out.style(styles[severity], caret)}`);
    }
    if (help !== null) out.print(`  help: ${clean(help)}`);
  }
}

function whereOf({ file, at, kind, name, path }: LocatedProblem, base: string): string {
  if (file !== null) return clean(`${base}${file}${at ? `:${at.line}:${at.column}` : ''}`);
  return clean([kind, name, path].filter(Boolean).join(' '));
}

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
