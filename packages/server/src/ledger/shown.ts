import type { Clock } from '../platform/index.ts';
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

/**
 * How many records of another replica's log that one shows at least, by the database alone: the witnesses of a deployment are those of all
 * its replicas, and only that one knows how long it has been waiting for them.
 */
export function createShownByOthers(stored: StoredLogs, clock: Clock, witnessing: Witnessing | undefined) {
  return async (log: string): Promise<number> => {
    if (!witnessing) return (await stored.newest(log))?.size ?? 0;
    const cosigned = (await stored.newestCosigned(log))?.size ?? 0;
    if (witnessing.view().failClosedAfterSeconds !== null) return cosigned;
    const waited = await stored.newest(log, clock.now() - ledgerLimits.uncosignedShownAfterMs);
    return Math.max(cosigned, waited?.size ?? 0);
  };
}
