import type { Ledger } from '../ledger/index.ts';
import { type Clock, limits } from '../platform/index.ts';
import type { Storage } from '../storage/index.ts';

/**
 * What a replica that is gone had sent and never ended shows as unknown without waiting for it to come back. A replica that was only cut off
 * may still write an outcome, which then counts. One replica does it, the first of those that live.
 */
export function createAbandonedLogs(deps: {
  storage: Pick<Storage, 'db'>;
  ledger: Pick<Ledger, 'closeUnknown'>;
  replica: string;
  clock: Clock;
}) {
  const { db } = deps.storage;
  /** Logs that were closed, with the replica's registration: it may be back, and go again. */
  const closed = new Set<string>();

  return async (): Promise<number> => {
    const deadline = deps.clock.now() - limits.replicaGoneSeconds * 1_000;
    const replicas = await db.selectFrom('replicas').select(['id', 'lease_until']).execute();
    const live = replicas.filter(({ lease_until }) => lease_until > deadline).map(({ id }) => id);
    for (const id of live) for (const log of closed) if (log.startsWith(`${id}\n`)) closed.delete(log);
    if (live.sort()[0] !== deps.replica) return 0;
    let count = 0;
    for (const { id, replica } of await db.selectFrom('logs').select(['id', 'replica']).execute()) {
      const key = `${replica}\n${id}`;
      if (live.includes(replica) || closed.has(key)) continue;
      const last = await db
        .selectFrom('records')
        .select('at')
        .where('log', '=', id)
        .orderBy('sequence', 'desc')
        .limit(1)
        .executeTakeFirst();
      // Whoever is starting, or has just signed off, ends what it has sent by itself.
      if (last && last.at > deadline) continue;
      count += await deps.ledger.closeUnknown(id);
      closed.add(key);
    }
    return count;
  };
}
