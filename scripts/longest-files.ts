import { resolve } from 'node:path';
import type { TestEvent } from 'node:test/reporters';

const LISTED = 15;

/** A reporter that says at the end which test files took the longest, with the start of their process. */
export default async function* longestFiles(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const begun = new Map<string, number>();
  const took: { name: string; seconds: number }[] = [];
  for await (const { type, data } of source) {
    if (type === 'test:dequeue' && resolve(data.name) === data.file) begun.set(data.name, performance.now());
    if (type === 'test:complete' && resolve(data.name) === data.file)
      took.push({ name: data.name, seconds: (performance.now() - (begun.get(data.name) ?? 0)) / 1_000 });
    // That of the whole run: nothing that is written after it is waited for.
    if (type === 'test:summary' && data.file === undefined && took.length > 1)
      yield [
        `The longest of ${took.length} test files, in seconds:`,
        ...took
          .sort((a, b) => b.seconds - a.seconds)
          .slice(0, LISTED)
          .map(({ name, seconds }) => `${seconds.toFixed(1).padStart(8)}  ${name}`),
        '',
      ].join('\n');
  }
}
