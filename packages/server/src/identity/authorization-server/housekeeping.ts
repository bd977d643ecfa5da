import type { Clock, Log } from '../../platform/index.ts';
import type { Storage } from '../../storage/index.ts';
import type { Federation } from '../federation/index.ts';
import { forgetExpiredAssertions } from './used-assertions.ts';

const INTERVAL_MS = 5 * 60_000;

/**
 * What must be done now and then, done by whoever issues tokens: an idle server has nothing to clean.
 * The function given back returns at once; a failure is logged and tried again next time.
 */
export function createHousekeeping({
  storage,
  federation,
  clock,
  log,
}: {
  storage: Storage;
  federation: Pick<Federation, 'forgetExpired'>;
  clock: Clock;
  log: Log;
}): () => void {
  let lastAt = clock.now();
  return () => {
    const now = clock.now();
    if (now - lastAt < INTERVAL_MS) return;
    lastAt = now;
    Promise.all([forgetExpiredAssertions(storage, now), federation.forgetExpired()]).catch((error) =>
      log.warn('expired assertions were not forgotten', { error }),
    );
  };
}
