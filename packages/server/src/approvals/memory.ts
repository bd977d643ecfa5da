import type { Approval } from '@gatehouse/protocol';
import type { Clock } from '../platform/index.ts';

/** `action`: what all approvals of one action have in common (`sameAction`). */
type Held = Approval & { action: string };

const isOpen = (approval: Approval) => approval.state === 'pending' || approval.state === 'approved';

const inTask = ({ task, operation }: { task: string; operation: string }) => `${task} ${operation}`;

function add(to: Map<string, Set<string>>, key: string, id: string): void {
  to.set(key, (to.get(key) ?? new Set()).add(id));
}

function remove(from: Map<string, Set<string>>, key: string, id: string): void {
  const ids = from.get(key);
  ids?.delete(id);
  if (ids?.size === 0) from.delete(key);
}

export type Memory = ReturnType<typeof createMemory>;

/**
 * What is pending or approved, for `find` and `settled`. A hint only: the write that dispatches decides (storage.append).
 * Reads may overtake each other, so an approval never goes back from approved to pending here.
 */
export function createMemory(clock: Clock) {
  const byId = new Map<string, Held>();
  const byAction = new Map<string, Set<string>>();
  const byTask = new Map<string, Set<string>>();
  const waiters = new Map<string, Set<(approval: Approval) => void>>();

  function drop(id: string): void {
    const approval = byId.get(id);
    if (!approval) return;
    byId.delete(id);
    remove(byAction, approval.action, id);
    remove(byTask, inTask(approval), id);
  }

  return {
    drop,

    put(approval: Approval, action: string): void {
      const before = byId.get(approval.id);
      if (before?.state === 'approved' && approval.state === 'pending') return;
      if (before && isOpen(approval) && before.votes.length > approval.votes.length) return;
      if (isOpen(approval)) {
        byId.set(approval.id, { ...approval, action });
        add(byAction, action, approval.id);
        add(byTask, inTask(approval), approval.id);
      } else drop(approval.id);
      if (approval.state === 'pending') return;
      for (const wake of waiters.get(approval.id) ?? []) wake(approval);
    },

    find(action: string): Approval | undefined {
      let newest: Approval | undefined;
      for (const id of byAction.get(action) ?? []) {
        const approval = byId.get(id);
        if (!approval || approval.expiresAt <= clock.now()) continue;
        // Ids sort by creation.
        if (!newest || approval.id > newest.id) newest = approval;
      }
      return newest;
    },

    approved: (): Approval[] => [...byId.values()].filter(({ state }) => state === 'approved'),
    pending: (): Approval[] => [...byId.values()].filter(({ state }) => state === 'pending'),

    /** Whether anything of this operation is open in a task, or was until it ran out. */
    isOpenIn: (of: { task: string; operation: string }): boolean => byTask.has(inTask(of)),

    /** The approval once it is no longer pending, or undefined when the signal aborts first. */
    decided(id: string, signal: AbortSignal): Promise<Approval | undefined> {
      return new Promise((resolve) => {
        const settle = (approval: Approval | undefined) => {
          signal.removeEventListener('abort', abort);
          const others = waiters.get(id);
          others?.delete(settle);
          if (others?.size === 0) waiters.delete(id);
          resolve(approval);
        };
        const abort = () => settle(undefined);
        if (signal.aborted) return resolve(undefined);
        signal.addEventListener('abort', abort);
        const others = waiters.get(id) ?? new Set();
        waiters.set(id, others.add(settle));
      });
    },

    /** Consumption is told by no feed, so what was consumed elsewhere goes when it would have run out. */
    purge(): void {
      const now = clock.now();
      for (const approval of byId.values()) if (approval.expiresAt <= now) drop(approval.id);
    },
  };
}
