import type { Task } from '@gatehouse/protocol';
import type { Change } from '../storage/index.ts';

/** About 1 KiB each. Beyond this the least recently used is read from storage again. */
const TASKS_IN_MEMORY = 50_000;
/** Under a storm of changes the last look is given out, but not kept. */
const LOOKS = 3;

/**
 * Running tasks, the most recently used last. INVARIANT: holds no task that this replica has heard to be ended: a read that was
 * under way while something was forgotten is not kept, because it may show what was before.
 */
export interface TaskCache {
  get(id: string): Task | undefined;
  /** Has `look` find a task in storage, and keeps an active one. Looks again when the feed said something meanwhile. */
  through(look: () => Promise<Task | undefined>): Promise<Task | undefined>;
  /** Keeps a task that is started by `start`, unless the feed said something meanwhile. */
  started(start: () => Promise<Task>): Promise<Task>;
  forget(changes: Iterable<Pick<Change, 'topic' | 'key'>>): void;
}

export function createTaskCache(capacity: number = TASKS_IN_MEMORY): TaskCache {
  const tasks = new Map<string, Task>();
  const byAgent = new Map<string, Set<string>>();
  let forgotten = 0;

  function drop(id: string): void {
    const task = tasks.get(id);
    if (!task) return;
    tasks.delete(id);
    const ids = byAgent.get(task.agent);
    ids?.delete(id);
    if (ids?.size === 0) byAgent.delete(task.agent);
  }

  function put(task: Task): void {
    drop(task.id);
    tasks.set(task.id, task);
    byAgent.set(task.agent, (byAgent.get(task.agent) ?? new Set()).add(task.id));
    if (tasks.size <= capacity) return;
    for (const oldest of tasks.keys()) {
      drop(oldest);
      break;
    }
  }

  return {
    get(id) {
      const task = tasks.get(id);
      if (task) {
        tasks.delete(id);
        tasks.set(id, task);
      }
      return task;
    },
    async through(look) {
      for (let attempt = 1; ; attempt++) {
        const before = forgotten;
        const task = await look();
        if (forgotten !== before && attempt < LOOKS) continue;
        if (forgotten === before && task?.state === 'active') put(task);
        return task;
      }
    },
    async started(start) {
      const before = forgotten;
      const task = await start();
      if (forgotten === before) put(task);
      return task;
    },
    forget(changes) {
      for (const { topic, key } of changes) {
        if (topic === 'task') {
          forgotten++;
          drop(key);
        } else if (topic === 'agent') {
          forgotten++;
          for (const id of byAgent.get(key) ?? []) drop(id);
        }
      }
    },
  };
}
