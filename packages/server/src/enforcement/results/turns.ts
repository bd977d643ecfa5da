import { resultLimits } from './limits.ts';

/** So many questions at once to one detector, and so many that wait, each no longer than `waitMs`; the next fails, and with it what it was about. */
export function createTurns() {
  const running = new Map<string, number>();
  const waiting = new Map<string, Set<() => void>>();

  function turn(name: string, waitMs: number): Promise<void> | undefined {
    const now = running.get(name) ?? 0;
    if (now < resultLimits.detectorCalls) {
      running.set(name, now + 1);
      return undefined;
    }
    const queue = waiting.get(name) ?? new Set();
    if (queue.size >= resultLimits.detectorWaiting) throw new Error('too many results wait for it');
    waiting.set(name, queue);
    return new Promise((resolve, reject) => {
      const start = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        queue.delete(start);
        reject(new Error(`it was busy for ${waitMs} ms`));
      }, waitMs);
      queue.add(start);
    });
  }

  return {
    async take<T>(name: string, waitMs: number, work: () => Promise<T>): Promise<T> {
      await turn(name, waitMs);
      try {
        return await work();
      } finally {
        const queue = waiting.get(name);
        const [next] = queue ?? [];
        if (next) {
          // Its turn goes on to who waits longest.
          queue?.delete(next);
          next();
        } else running.set(name, (running.get(name) ?? 1) - 1);
      }
    },
  };
}
