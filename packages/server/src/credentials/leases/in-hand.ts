import type { Clock, Secret } from '../../platform/index.ts';
import { leaseLimits } from './limits.ts';
import { type LeaseRow, nameOf } from './rows.ts';
import type { Held } from './types.ts';

interface Remembered extends Held {
  intendedAt: number;
  agent: string;
  task: string;
}

export type InHand = ReturnType<typeof createInHand>;

/** What this replica has in memory, by holder, so that a call with a lease that is there touches no database. */
export function createInHand(clock: Clock) {
  const held = new Map<string, Remembered>();
  /** Known to be in use; of what is in `held`. */
  const active = new Set<string>();

  /** Of one that its task's end has made short less is kept in hand, or each call would make another. */
  const isFresh = (intendedAt: number, expiresAt: number) =>
    expiresAt - clock.now() > Math.min(leaseLimits.renewBeforeMs, (expiresAt - intendedAt) / 3);

  return {
    isFresh,
    fresh(holder: string): Held | undefined {
      const there = held.get(holder);
      return there && isFresh(there.intendedAt, there.lease.expiresAt) ? there : undefined;
    },
    remember(row: LeaseRow, credential: Record<string, Secret>): Held {
      const { id, provider, agent, task, expires_at: expiresAt, intended_at: intendedAt } = row;
      const lease = { id, provider, expiresAt, name: nameOf(id) };
      if (row.single_use === 0) held.set(row.holder, { lease, credential, intendedAt, agent, task });
      return { lease, credential };
    },
    drop: (holder: string) => held.delete(holder),
    isActive: (id: string) => active.has(id),
    activated(id: string): void {
      if ([...held.values()].some(({ lease }) => lease.id === id)) active.add(id);
    },
    /** Of what may not be used any more. */
    forget(of: { task: string } | { agent: string } | { id: string }): void {
      if ('id' in of) active.delete(of.id);
      for (const [holder, { lease, agent, task }] of held) {
        const isMeant = 'id' in of ? lease.id === of.id : 'task' in of ? task === of.task : agent === of.agent;
        if (!isMeant) continue;
        held.delete(holder);
        active.delete(lease.id);
      }
    },
  };
}
