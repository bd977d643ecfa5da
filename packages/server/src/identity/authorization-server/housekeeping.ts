import type { Clock, Log } from '../../platform/index.ts';
import type { Storage } from '../../storage/index.ts';
import type { SigningKeys } from '../keys/signing-keys.ts';
import { forgetExpiredAssertions } from './used-assertions.ts';

/** Shorter than the lead a new key has, so that a replica which missed the news of it signs with it in time all the same. */
const INTERVAL_MS = 5 * 60_000;

/**
 * What must be done now and then, done by whoever issues tokens: an idle server has nothing to clean and no key to rotate.
 * The function given back returns at once; a failure is logged and tried again next time.
 */
export function createHousekeeping({
  storage,
  keys,
  clock,
  log,
}: {
  storage: Storage;
  keys: SigningKeys;
  clock: Clock;
  log: Log;
}): () => void {
  let lastAt = clock.now();
  const run = async (now: number) => {
    await forgetExpiredAssertions(storage, now);
    await keys.refresh();
    if (keys.rotationDue()) await keys.rotate({ by: 'gatehouse' });
  };
  return () => {
    const now = clock.now();
    if (now - lastAt < INTERVAL_MS) return;
    lastAt = now;
    run(now).catch((error) => log.warn('expired assertions and signing keys were not looked after', { error }));
  };
}
