import { type ChangeFeed, type Database, FEED_LEASE_MS } from './storage.ts';

export type WaitOutcome = Awaited<ReturnType<ChangeFeed['waitForAll']>>;

/** Waiting for every replica to acknowledge one change: `look` gives the outcome once there is one. */
export function createWait(db: Database, sequence: number): { look(): Promise<WaitOutcome | undefined> } {
  const expired: string[] = [];
  const leases = new Map<string, { until: number; seenAtMs: number }>();

  return {
    async look() {
      const replicas = await db.selectFrom('replicas').select(['id', 'acknowledged', 'lease_until']).execute();
      const behind = replicas.filter((row) => row.acknowledged < sequence);
      if (behind.length === 0) return { acknowledged: replicas.map((row) => row.id), expired };
      for (const { id, lease_until: until } of behind) {
        const lease = leases.get(id);
        if (lease?.until !== until) leases.set(id, { until, seenAtMs: performance.now() });
        else if (performance.now() - lease.seenAtMs > FEED_LEASE_MS) {
          // Only that very lease: if the replica has just renewed it, it is waited for.
          const { numDeletedRows } = await db
            .deleteFrom('replicas')
            .where('id', '=', id)
            .where('lease_until', '=', until)
            .where('acknowledged', '<', sequence)
            .executeTakeFirstOrThrow();
          if (numDeletedRows > 0n) expired.push(id);
        }
      }
      return undefined;
    },
  };
}
