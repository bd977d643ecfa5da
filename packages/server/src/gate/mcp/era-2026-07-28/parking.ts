import { randomUUID } from 'node:crypto';
import type { Enforcement } from '../../../enforcement/index.ts';
import type { Caller } from '../../../identity/index.ts';
import { GatehouseError } from '../../../platform/index.ts';
import { doorLimits } from '../limits.ts';
import type { Conversation } from './conversation.ts';

/** Calls that wait for their client in this process: bounded in number and time, and ended with their agent or task. */
export interface Parking {
  /** The handle of the parked call, or undefined when there is no room. */
  park(caller: Caller, conversation: Conversation): string | undefined;
  /** Takes it out; undefined when it is not there (any more), or is another agent's or task's. */
  take(caller: Caller, handle: string): Conversation | undefined;
  count(): number;
  close(): void;
}

interface Parked {
  caller: Caller;
  conversation: Conversation;
  leave(): void;
}

export function createParking({ enforcement }: { enforcement: Enforcement }): Parking {
  const parked = new Map<string, Parked>();
  const perTask = new Map<string, number>();

  function giveUp(handle: string, reason: string): void {
    const entry = parked.get(handle);
    entry?.leave();
    entry?.conversation.abort(new GatehouseError('timeout', 'call.abandoned', reason));
  }

  return {
    park(caller, conversation) {
      const task = caller.task.id;
      const held = perTask.get(task) ?? 0;
      if (held >= doorLimits.parkedPerTask || parked.size >= doorLimits.parkedInAll) return undefined;
      perTask.set(task, held + 1);
      const handle = randomUUID();
      const timer = setTimeout(() => giveUp(handle, 'The client did not come back.'), doorLimits.askTimeoutMs);
      timer.unref();
      const release = enforcement.attach(caller, (reason) => giveUp(handle, reason));
      parked.set(handle, {
        caller,
        conversation,
        leave() {
          clearTimeout(timer);
          release();
          parked.delete(handle);
          const left = (perTask.get(task) ?? 1) - 1;
          if (left === 0) perTask.delete(task);
          else perTask.set(task, left);
        },
      });
      return handle;
    },
    take(caller, handle) {
      const entry = parked.get(handle);
      if (!entry || entry.caller.agent !== caller.agent || entry.caller.task.id !== caller.task.id) return undefined;
      entry.leave();
      return entry.conversation;
    },
    count: () => parked.size,
    close() {
      for (const handle of [...parked.keys()]) giveUp(handle, 'The gate shuts down.');
    },
  };
}
