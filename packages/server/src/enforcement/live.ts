import type { Caller } from '../identity/index.ts';
import { GatehouseError } from '../platform/index.ts';

interface Held {
  caller: Caller;
  end(reason: string): void;
}

/** `beforeEpoch`: only what the agent began with tokens of an older epoch. Nothing given: everything. */
export interface StopOf {
  agent?: string;
  task?: string;
  /** Its id. */
  token?: string;
  beforeEpoch?: number;
}

export type Live = ReturnType<typeof createLive>;

/** All that must end when an agent or a task does: calls in flight, open streams, sessions. By agent, so that a stop touches only its own. */
export function createLive() {
  const byAgent = new Map<string, Set<Held>>();

  function hold(held: Held): () => void {
    const set = byAgent.get(held.caller.agent) ?? new Set();
    byAgent.set(held.caller.agent, set.add(held));
    return () => {
      set.delete(held);
      if (set.size === 0 && byAgent.get(held.caller.agent) === set) byAgent.delete(held.caller.agent);
    };
  }

  return {
    attach: (caller: Caller, end: (reason: string) => void) => hold({ caller, end }),

    begin(caller: Caller): { signal: AbortSignal; end(): void } {
      const controller = new AbortController();
      const release = hold({
        caller,
        end: (reason) =>
          controller.abort(new GatehouseError('forbidden', 'action.stopped', `The action was stopped: ${reason}`)),
      });
      return { signal: controller.signal, end: release };
    },

    stop(of: StopOf, reason: string): void {
      const failures: unknown[] = [];
      for (const set of [...byAgent.values()]) {
        for (const held of [...set]) {
          if (!isConcerned(held.caller, of)) continue;
          try {
            held.end(reason);
          } catch (error) {
            // One that fails to end must not keep the others open.
            failures.push(error);
          }
        }
      }
      if (failures.length > 0) throw new AggregateError(failures, 'something that was stopped did not end cleanly');
    },

    count: (): number => [...byAgent.values()].reduce((sum, set) => sum + set.size, 0),
  };
}

/** What was handed on stops with the agent and the task that it was handed on from (law 6). */
function isConcerned(caller: Caller, { agent, task, token, beforeEpoch }: StopOf): boolean {
  const links = [{ agent: caller.agent, agentEpoch: caller.agentEpoch, task: caller.task }, ...caller.chain];
  if (task !== undefined && !links.some((link) => link.task.id === task)) return false;
  if (token !== undefined && caller.tokenId !== token) return false;
  if (agent === undefined) return true;
  return links.some((link) => link.agent === agent && (beforeEpoch === undefined || link.agentEpoch < beforeEpoch));
}
