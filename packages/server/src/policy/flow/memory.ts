import { flowLimits } from './limits.ts';
import type { Part } from './parts.ts';
import { createSeen, type Result, type Seen } from './seen.ts';

/** What the labels of a task say of its texts. */
export interface ReadState {
  /** This process has passed on untrusted texts. */
  here: boolean;
  /** So has another one. */
  elsewhere: boolean;
}

/** The texts that tasks have read through this process, the most recently used last. */
export interface Memory {
  of(task: string, read: ReadState): Seen;
  note(task: string, parts: readonly Part[], result: Result, read: ReadState & { isWhole: boolean }): void;
}

export function createMemory(limits: { charsInAll: number; tasks: number } = flowLimits): Memory {
  const tasks = new Map<string, Seen>();
  let chars = 0;

  /** INVARIANT: a task that has read untrusted texts which are not here any more starts as one that has forgotten. */
  function take(task: string, { here, elsewhere }: ReadState): Seen {
    const known = tasks.get(task);
    const seen = known ?? createSeen();
    if (elsewhere || (here && !known)) change(seen, () => seen.forget());
    if (known) {
      tasks.delete(task);
      tasks.set(task, seen);
    }
    return seen;
  }

  function change(seen: Seen, work: () => void): void {
    const before = seen.chars;
    work();
    chars += seen.chars - before;
  }

  function makeRoom(): void {
    for (const [task, seen] of tasks) {
      if (chars <= limits.charsInAll && tasks.size <= limits.tasks) return;
      chars -= seen.chars;
      tasks.delete(task);
    }
  }

  return {
    of: take,
    note(task, parts, result, read) {
      const seen = take(task, read);
      tasks.set(task, seen);
      change(seen, () => {
        seen.note(parts, result);
        if (!read.isWhole) seen.forget();
      });
      makeRoom();
    },
  };
}
