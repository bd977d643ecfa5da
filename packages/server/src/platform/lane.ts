/** A way to one disk. */
export interface Lane {
  /** Runs it when those before it are over; rejects when it takes longer than that, and at once while one that did is still under way. */
  run<T>(operation: () => Promise<T>, timeoutMs: number): Promise<T>;
}

/**
 * A file system that hangs (a network one whose server is gone) keeps the thread that asks it, of the few that all file access, name
 * look-ups and cryptography share. So one operation is under way at a time, and none is begun while one is stuck.
 */
export function createLane(silent: () => Error): Lane {
  let last: Promise<unknown> = Promise.resolve();
  let isStuck = false;

  async function bounded<T>(operation: () => Promise<T>, timeoutMs: number): Promise<T> {
    if (isStuck) throw silent();
    const running = operation();
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      isStuck = true;
      late.reject(silent());
    }, timeoutMs);
    const settled = () => {
      clearTimeout(timer);
      isStuck = false;
    };
    running.then(settled, settled);
    return Promise.race([running, late.promise]);
  }

  return {
    run(operation, timeoutMs) {
      const turn = last.then(() => bounded(operation, timeoutMs));
      last = turn.catch(() => undefined);
      return turn;
    },
  };
}
