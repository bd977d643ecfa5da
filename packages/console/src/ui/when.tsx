import { useSyncExternalStore } from 'react';
import { exactUtc, type Instant, relative, shortLocal, timeLeft, toMs } from '../lib/time.ts';

const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function startClock() {
  // It stood still while nobody looked at it.
  now = Date.now();
  return setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, 1_000);
}

/** One clock for the page, ticking each second while somebody looks at it. Whoever needs it less often is drawn less often. */
export function useNow(everyMs = 1_000): number {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      timer ??= startClock();
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
    () => now - (now % everyMs),
  );
}

interface WhenProps {
  at: Instant;
  /** `both`: `12:03:04 · 2 min ago` */
  as?: 'clock' | 'relative' | 'both';
}

/** A time in the reader's zone; hover gives the exact UTC. */
export function When({ at, as = 'clock' }: WhenProps) {
  const current = useNow(as === 'clock' ? 60_000 : 1_000);
  const local = shortLocal(at, current);
  const ago = relative(at, current);
  const machine = Number.isNaN(toMs(at)) ? undefined : new Date(toMs(at)).toISOString();
  return (
    <time dateTime={machine} title={exactUtc(at)} className="gh-numbers">
      {as === 'clock' ? local : as === 'relative' ? ago : `${local} · ${ago}`}
    </time>
  );
}

export function TimeLeft({ until }: { until: number }) {
  const left = timeLeft(until, useNow());
  return (
    <time dateTime={new Date(until).toISOString()} title={`Runs out at ${exactUtc(until)}`} className="gh-numbers">
      {left === null ? 'run out' : `${left} left`}
    </time>
  );
}
