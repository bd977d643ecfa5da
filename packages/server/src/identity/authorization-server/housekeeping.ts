import type { Clock, Log } from '../../platform/index.ts';
import type { Storage } from '../../storage/index.ts';
import { forgetExpiredAssertions } from './used-assertions.ts';

const INTERVAL_MS = 5 * 60_000;

/**
 * What must be done now and then, done by whoever issues tokens: an idle server has nothing to clean.
 * The function given back returns at once; a failure is logged and tried again next time.
 */
export function createHousekeeping({ storage, clock, log }: { storage: Storage; clock: Clock; log: Log }): () => void {
  let lastAt = clock.now();
  return () => {
    const now = clock.now();
    if (now - lastAt < INTERVAL_MS) return;
    lastAt = now;
    forgetExpiredAssertions(storage, now).catch((error) =>
      log.warn('expired assertions were not forgotten', { error }),
    );
  };
}
