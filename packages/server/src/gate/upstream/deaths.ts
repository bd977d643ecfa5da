import type { Clock } from '../../platform/index.ts';
import { UpstreamFailure } from './types.ts';

/** How often one server died in one scope without having served anything. */
interface Deaths {
  server: string;
  task: string;
  /** Another transport is another server, with no past. */
  transport: string;
  lastWords: string;
  count: number;
  notBefore: number;
}

/** Keeps a server that dies as it starts from being started again and again. */
export function createDeaths(clock: Clock, limits: { backoffMaxMs: number }) {
  const deaths = new Map<string, Deaths>();

  return {
    tooSoon(key: string, transport: string): UpstreamFailure | undefined {
      const past = deaths.get(key);
      const wait = past?.transport === transport ? past.notBefore - clock.now() : 0;
      if (wait <= 0) return undefined;
      return new UpstreamFailure('unreachable', `${past?.lastWords} It is tried again in ${wait} ms.`);
    },

    /** The first restart is immediate, the second waits 0.25 s, then doubling. */
    count(key: string, of: Pick<Deaths, 'server' | 'task' | 'transport'>, lastWords: string): void {
      const past = deaths.get(key);
      const count = (past?.transport === of.transport ? past.count : 0) + 1;
      const delay = count < 2 ? 0 : Math.min(250 * 2 ** (count - 2), limits.backoffMaxMs);
      deaths.set(key, { ...of, lastWords, count, notBefore: clock.now() + delay });
    },

    clear(key: string): void {
      deaths.delete(key);
    },

    forgive(name: string): void {
      for (const [key, { server }] of deaths) if (server === name) deaths.delete(key);
    },

    forget(ended: string): void {
      for (const [key, { task }] of deaths) if (task === ended) deaths.delete(key);
    },
  };
}
