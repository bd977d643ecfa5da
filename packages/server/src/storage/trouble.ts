import type { Clock } from '../platform/index.ts';

/** What does not work just now. */
export interface Trouble {
  /** `changes`: what others have changed can't be followed. `records`: nothing can be recorded. Either way everything is denied. */
  what: 'changes' | 'records';
  since: number;
  /** When it failed last. */
  at: number;
  problem: string;
}

/** Keeps since when something fails, and why. */
export function createTrouble(what: Trouble['what'], clock: Clock) {
  let trouble: Trouble | undefined;
  return {
    failed(error: unknown): void {
      const at = clock.now();
      trouble = { what, since: trouble?.since ?? at, at, problem: deepest(error) };
    },
    over(): void {
      trouble = undefined;
    },
    view: () => trouble,
  };
}

/** What the database, or the way to it, has said. */
function deepest(error: unknown): string {
  let found = error;
  for (let depth = 0; depth < 8; depth++) {
    const inner: unknown =
      found instanceof AggregateError ? found.errors.at(-1) : found instanceof Error ? found.cause : undefined;
    if (inner === undefined) break;
    found = inner;
  }
  return found instanceof Error ? found.message : String(found);
}
