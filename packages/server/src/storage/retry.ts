import { setTimeout as sleep } from 'node:timers/promises';

/** When what failed is tried again: after twice the time each time, up to the longest, and never together with everybody else. */
export interface Retry {
  readonly failures: number;
  /** Counts one more failure, and resolves when it is time, or at once when this is aborted. */
  wait(signal: AbortSignal): Promise<void>;
  over(): void;
}

export function createRetry(firstMs: number, longestMs: number): Retry {
  let failures = 0;
  return {
    get failures() {
      return failures;
    },
    async wait(signal) {
      const ms = Math.min(longestMs, firstMs * 2 ** Math.min(failures++, 16));
      await sleep(ms * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
    },
    over() {
      failures = 0;
    },
  };
}
