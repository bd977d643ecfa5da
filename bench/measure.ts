import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';

/** One thing that is measured: a verb of `npm run bench`, and a section of bench/RESULTS.md. */
export interface Measure {
  /** Of its section. */
  heading: string;
  /** Its options with their defaults; all are numbers, lists of numbers, `true`/`false` or names, as text. */
  options: Record<string, string>;
  /** Markdown below the heading: how it was measured, then tables. */
  run(options: Record<string, string>): Promise<{ rows: unknown; how: string; tables: string }>;
}

export function table(head: string[], rows: (string | number)[][]): string {
  const line = (cells: (string | number)[]) => `| ${cells.join(' | ')} |`;
  return [line(head), `|---|${'--:|'.repeat(head.length - 1)}`, ...rows.map(line)].join('\n');
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

export const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

/** When and where: no figure means anything without it. */
export function circumstances(): string {
  const load = loadavg()
    .slice(0, 2)
    .map((each) => each.toFixed(1))
    .join(' and ');
  return `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores (${cpus()[0]?.model.trim() ?? ''}), Node ${process.version}, load ${load} (1 and 5 minutes, the bench itself included)`;
}

const results = join(import.meta.dirname, 'RESULTS.md');

/** Replaces one section and leaves the others as they are. */
export function writeSection(heading: string, text: string): void {
  writeFileSync(results, replaceSection(readFileSync(results, 'utf8'), heading, text));
}

export function replaceSection(page: string, heading: string, text: string): string {
  const [intro = '', ...sections] = page.trimEnd().split(/\n+(?=## )/);
  const written = `## ${heading}\n\n${text.trim()}`;
  const at = sections.findIndex((section) => section.split('\n', 1)[0] === `## ${heading}`);
  if (at < 0) sections.push(written);
  else sections[at] = written;
  return `${[intro.trimEnd(), ...sections].join('\n\n')}\n`;
}
