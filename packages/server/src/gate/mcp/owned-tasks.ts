import type { Caller } from '../../identity/index.ts';
import { doorLimits } from './limits.ts';

/**
 * Which task of the gate started which MCP task. A server sees one principal, the gate, so that only the gate can keep one agent's
 * task from reading another's (2025-11-25 tasks, Task Isolation; SEP-2663, Auth binding). Kept in memory: after a restart of the
 * gate its MCP tasks are unknown.
 */
export interface OwnedTasks {
  own(caller: Caller, server: string, taskId: string): void;
  owns(caller: Caller, server: string, taskId: string): boolean;
  /** Servers at which this caller's task has started something. */
  serversOf(caller: Caller): string[];
  /** What the task asked its client so far, by key, and whether it may: a key means one request for the task's whole life. */
  asked(server: string, taskId: string): Map<string, boolean>;
}

export function createOwnedTasks(): OwnedTasks {
  const owners = new Map<string, { gateTask: string; server: string; asked: Map<string, boolean> }>();
  const key = (server: string, taskId: string) => `${server}+${taskId}`;
  return {
    own(caller, server, taskId) {
      if (owners.size >= doorLimits.rememberedTasks) {
        const [oldest] = owners.keys();
        if (oldest !== undefined) owners.delete(oldest);
      }
      // INVARIANT: the first owner stays. A server that gives one id twice does not hand one agent's task to another.
      if (!owners.has(key(server, taskId)))
        owners.set(key(server, taskId), { gateTask: caller.task.id, server, asked: new Map() });
    },
    owns: (caller, server, taskId) => owners.get(key(server, taskId))?.gateTask === caller.task.id,
    serversOf: (caller) => [
      ...new Set(
        [...owners.values()].filter(({ gateTask }) => gateTask === caller.task.id).map(({ server }) => server),
      ),
    ],
    asked: (server, taskId) => owners.get(key(server, taskId))?.asked ?? new Map(),
  };
}
