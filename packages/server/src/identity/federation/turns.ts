import { GatehouseError } from '../../platform/index.ts';
import { federationLimits } from './limits.ts';

/** Runs a task when it is the turn of its source. Throws `unavailable` (`aws.busy`) where too many wait already. */
export type TakeTurns = <T>(source: string, task: () => Promise<T>) => Promise<T>;

/**
 * Anybody may have us ask somebody else whether a proof is genuine. So few are asked about at once; sources take turns, and none has
 * more than its share of those that wait, whatever it sends.
 */
export function createTurns(): TakeTurns {
  const { stsCalls, stsWaiting, stsWaitingPerSource } = federationLimits;
  /** By source; the one in front is next. */
  const queues = new Map<string, (() => void)[]>();
  let running = 0;
  let waiting = 0;

  const next = () => {
    const first = queues.entries().next();
    if (first.done) return;
    const [source, queue] = first.value;
    const start = queue.shift();
    waiting -= 1;
    queues.delete(source);
    if (queue.length > 0) queues.set(source, queue);
    start?.();
  };

  const turnOf = (source: string): Promise<void> => {
    if (running < stsCalls) {
      running += 1;
      return Promise.resolve();
    }
    const queue = queues.get(source) ?? [];
    if (waiting >= stsWaiting || queue.length >= stsWaitingPerSource)
      throw new GatehouseError(
        'unavailable',
        'aws.busy',
        'Too many signed AWS requests wait to be checked. Try again in a few seconds.',
      );
    waiting += 1;
    queues.set(source, queue);
    // The one before gives its place on, so that `running` stays as it is.
    return new Promise((start) => queue.push(start));
  };

  return async (source, task) => {
    await turnOf(source);
    try {
      return await task();
    } finally {
      if (waiting > 0) next();
      else running -= 1;
    }
  };
}

/** An address as one source: whoever has one of IPv6 has the 2^64 beside it. */
export function sourceOf(address: string | undefined): string {
  if (address === undefined || !address.includes(':') || address.startsWith('::ffff:')) return address ?? '';
  const [head = '', tail] = address.split('::');
  const left = head.split(':').filter(Boolean);
  const right = (tail ?? '').split(':').filter(Boolean);
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array<string>(zeros).fill('0'), ...right].slice(0, 4).join(':');
}
