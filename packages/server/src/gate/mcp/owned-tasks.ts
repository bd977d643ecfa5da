import type { EarlierCall } from '../../enforcement/index.ts';
import type { Caller } from '../../identity/index.ts';
import type { Json } from '../../platform/index.ts';
import { doorLimits } from './limits.ts';

/**
 * Which task of the gate started which MCP task, and by which call. A server sees one principal, the gate, so that only the gate can keep
 * one agent's task from reading another's (2025-11-25 tasks, Task Isolation; SEP-2663, Auth binding), and only it knows whose result a task
 * has. INVARIANT: kept in memory only, and an MCP task that is not known here (after a restart, at another replica) is not there: no result
 * is given out of which nobody knows any more what it has to be masked for.
 */
export interface OwnedTasks {
  /** `call`: that which started it. */
  own(caller: Caller, server: string, taskId: string, call: EarlierCall): void;
  owns(caller: Caller, server: string, taskId: string): boolean;
  /** The call that started it. Undefined: this gate does not know it. */
  startedBy(server: string, taskId: string): EarlierCall | undefined;
  /** Servers at which this caller's task has started something. */
  serversOf(caller: Caller): string[];
  /** What the task asked its client so far, by key, as it may be shown; null: it may not. A key means one request for the task's whole life. */
  asked(server: string, taskId: string): Map<string, Json>;
}

interface Owned {
  gateTask: string;
  server: string;
  call: EarlierCall;
  bytes: number;
  asked: Map<string, Json>;
}

export function createOwnedTasks(): OwnedTasks {
  const owners = new Map<string, Owned>();
  const keyOf = (server: string, taskId: string) => `${server}+${taskId}`;
  let bytes = 0;

  return {
    own(caller, server, taskId, call) {
      const key = keyOf(server, taskId);
      // INVARIANT: the first owner stays. A server that gives one id twice does not hand one agent's task to another.
      if (owners.has(key)) return;
      const own = Buffer.byteLength(JSON.stringify(call.arguments));
      for (const [oldest, { bytes: freed }] of owners) {
        if (owners.size < doorLimits.rememberedTasks && bytes + own <= doorLimits.rememberedTaskBytes) break;
        owners.delete(oldest);
        bytes -= freed;
      }
      bytes += own;
      owners.set(key, { gateTask: caller.task.id, server, call, bytes: own, asked: new Map() });
    },
    owns: (caller, server, taskId) => owners.get(keyOf(server, taskId))?.gateTask === caller.task.id,
    startedBy: (server, taskId) => owners.get(keyOf(server, taskId))?.call,
    serversOf: (caller) => [
      ...new Set(
        [...owners.values()].filter(({ gateTask }) => gateTask === caller.task.id).map(({ server }) => server),
      ),
    ],
    asked: (server, taskId) => owners.get(keyOf(server, taskId))?.asked ?? new Map(),
  };
}
