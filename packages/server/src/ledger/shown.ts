import { ledgerLimits } from './limits.ts';
import type { StoredCheckpoint, StoredLogs } from './stored.ts';
import type { Witnessing } from './witnessing.ts';

/**
 * The checkpoint of a log that others are shown: the newest that enough witnesses have cosigned. Where nothing was cosigned for a while,
 * and the deployment goes on then, the newest at all.
 */
export function createShown(stored: StoredLogs, witnessingOf: (log: string) => Witnessing | undefined) {
  return async (log: string): Promise<StoredCheckpoint | undefined> => {
    const witnessing = witnessingOf(log);
    if (!witnessing) return stored.newest(log);
    const cosigned = await stored.newestCosigned(log);
    const isClosed = witnessing.view().failClosedAfterSeconds !== null;
    if (isClosed || (cosigned && witnessing.uncosignedFor() < ledgerLimits.uncosignedShownAfterMs)) return cosigned;
    return stored.newest(log);
  };
}
