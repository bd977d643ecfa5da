import type { Caller } from '../identity/index.ts';
import { GatehouseError } from '../platform/index.ts';

interface Held {
  caller: Caller;
  end(reason: string): void;
}

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

    begin(caller: Caller, _now: number): { signal: AbortSignal; end(): void } {
      const controller = new AbortController();
      const release = hold({
        caller,
        end: (reason) =>
          controller.abort(new GatehouseError('forbidden', 'action.stopped', `The action was stopped: ${reason}`)),
      });
      return { signal: controller.signal, end: release };
    },

    stop(of: { agent?: string; task?: string }, reason: string): void {
      const sets = of.agent === undefined ? [...byAgent.values()] : [byAgent.get(of.agent) ?? new Set<Held>()];
      for (const set of sets) {
        for (const held of [...set]) {
          const concerned = of.task === undefined || held.caller.task.id === of.task;
          // A delegated child carries the stopped agent in its chain, and stops with it (law 6).
          if (concerned) held.end(reason);
        }
      }
      if (of.agent === undefined) return;
      for (const [agent, set] of byAgent) {
        if (agent === of.agent) continue;
        for (const held of [...set]) {
          if (held.caller.actorChain.some(({ sub }) => sub.endsWith(`/agent/${of.agent}`))) held.end(reason);
        }
      }
    },

    count: (): number => [...byAgent.values()].reduce((sum, set) => sum + set.size, 0),
  };
}
