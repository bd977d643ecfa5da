import type { Clock } from '../../platform/index.ts';
import { flowLimits } from './limits.ts';
import type { Part } from './parts.ts';
import { createSeen, type Result, type Seen } from './seen.ts';

/** What the labels of a task, or of an agent, say of its texts. */
export interface ReadState {
  /** This process has passed on untrusted texts. */
  here: boolean;
  /** So has another one. */
  elsewhere: boolean;
}

/** What other tasks of an agent have read. It only ever speaks against a value. */
export interface Others {
  seen: readonly Seen[];
  /** False: there was more, so that no result vouches for anything. */
  isComplete: boolean;
}

/** The texts that tasks have read through this process, the most recently used last. */
export interface Memory {
  of(task: string, read: ReadState): Seen;
  /** `knowers`: under which what was read is known to agents. */
  note(
    task: string,
    knowers: readonly string[],
    parts: readonly Part[],
    result: Result,
    read: ReadState & { isWhole: boolean },
  ): void;
  /** What these tasks have read, and go on to read, has been told to an agent. */
  tell(knowers: readonly string[], tasks: readonly { id: string; read: ReadState }[]): void;
  /** What it has read and been told lately, but for these tasks. */
  others(knower: string, read: ReadState, except: ReadonlySet<string>): Others;
}

const AGENT_MS = flowLimits.agentHours * 3_600_000;

export function createMemory(
  clock: Clock,
  limits: { charsInAll: number; tasks: number; tasksPerAgent: number; charsPerTask: number } = flowLimits,
): Memory {
  const tasks = new Map<string, Seen>();
  /** By who knows of them: when each task was last heard of. */
  const known = new Map<string, Map<string, number>>();
  let chars = 0;

  /** INVARIANT: a task that has read untrusted texts which are not here any more starts as one that has forgotten. */
  function take(task: string, { here, elsewhere }: ReadState): Seen {
    const found = tasks.get(task);
    const seen = found ?? createSeen();
    if (elsewhere || (here && !found)) change(seen, () => seen.forget());
    if (found) {
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

  /** INVARIANT: a task is left out of what an agent knows only when it was last heard of too long ago to matter. */
  function tellOne(knower: string, ids: readonly string[]): void {
    const own = known.get(knower) ?? new Map<string, number>();
    known.delete(knower);
    known.set(knower, own);
    for (const id of ids) {
      own.delete(id);
      own.set(id, clock.now());
    }
    // More than are looked at: one too many stays, so that it counts as knowing more.
    for (const [id, at] of own)
      if (own.size > limits.tasksPerAgent + 1 || at <= clock.now() - AGENT_MS) own.delete(id);
      else break;
    for (const other of known.keys())
      if (known.size > limits.tasks) known.delete(other);
      else break;
  }

  const tell = (knowers: readonly string[], ids: readonly string[]) => {
    for (const knower of knowers) tellOne(knower, ids);
  };

  return {
    of: take,
    tell(knowers, told) {
      for (const { id, read } of told) tasks.set(id, take(id, read));
      tell(
        knowers,
        told.map(({ id }) => id),
      );
      makeRoom();
    },
    note(task, knowers, parts, result, read) {
      const seen = take(task, read);
      tasks.set(task, seen);
      tell(knowers, [task]);
      change(seen, () => {
        seen.note(parts, result);
        if (!read.isWhole) seen.forget();
      });
      makeRoom();
    },
    others(knower, { here, elsewhere }, except) {
      const own = known.get(knower);
      let isComplete = !elsewhere && (own !== undefined || !here);
      const seen: Seen[] = [];
      let read = 0;
      const lately = [...(own ?? [])].filter(([, at]) => at > clock.now() - AGENT_MS);
      if (lately.length > limits.tasksPerAgent) isComplete = false;
      for (const [id] of lately.slice(-limits.tasksPerAgent)) {
        if (except.has(id)) continue;
        const found = tasks.get(id);
        read += found?.chars ?? 0;
        if (!found?.isComplete || read > limits.charsPerTask) isComplete = false;
        else seen.push(found);
      }
      return { seen, isComplete };
    },
  };
}
