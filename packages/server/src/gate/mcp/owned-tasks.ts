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
  asked(server: string, taskId: string): Asked;
}

/** What a task asked its client so far, by key, as it may be shown; null: it may not. A key means one request for the task's whole life. */
export interface Asked {
  get(key: string): Json | undefined;
  /** Gives what is kept from now on: what came first. */
  keep(key: string, shown: Json): Json;
  isFull(): boolean;
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

  /** Forgets the oldest until there is room, maybe that which needs it. */
  function makeRoom(needed: number, most: number): void {
    for (const [oldest, { bytes: freed }] of owners) {
      if (owners.size <= most && bytes + needed <= doorLimits.rememberedTaskBytes) return;
      owners.delete(oldest);
      bytes -= freed;
    }
  }

  return {
    own(caller, server, taskId, call) {
      const key = keyOf(server, taskId);
      // INVARIANT: the first owner stays. A server that gives one id twice does not hand one agent's task to another.
      if (owners.has(key)) return;
      const own = Buffer.byteLength(JSON.stringify(call.arguments));
      makeRoom(own, doorLimits.rememberedTasks - 1);
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
    asked(server, taskId) {
      const key = keyOf(server, taskId);
      return {
        get: (asked) => owners.get(key)?.asked.get(asked),
        keep(asked, shown) {
          const before = owners.get(key)?.asked.get(asked);
          if (before !== undefined) return before;
          const own = Buffer.byteLength(asked) + Buffer.byteLength(JSON.stringify(shown));
          makeRoom(own, doorLimits.rememberedTasks);
          const owner = owners.get(key);
          // It had to give way itself, so that nothing is shown of it any more.
          if (!owner) return null;
          owner.asked.set(asked, shown);
          owner.bytes += own;
          bytes += own;
          return shown;
        },
        isFull: () => (owners.get(key)?.asked.size ?? 0) >= doorLimits.asksPerTask,
      };
    },
  };
}
