import type { Clock } from '../../platform/index.ts';
import { createBoundedCache } from '../tokens/bounded-cache.ts';
import { authorizationLimits } from './limits.ts';

/**
 * Anybody can begin a request at the authorization, device and PAR endpoints, and each is a row until it is answered or its time is
 * over. What this replica has let in is counted here. When there are too many the oldest give way and the new one is let in: to
 * refuse would let whoever fills the house once lock everybody out for as long as a request lives.
 */
export interface UnfinishedRequests {
  /** Counts a request, once. Gives the keys of those that have to go. */
  add(client: string, key: string, expiresAt: number): string[];
  /** Answered, used or gone. */
  remove(key: string): void;
}

export function createUnfinishedRequests(
  clock: Clock,
  { requestsPerClient, requestsInAll } = authorizationLimits,
): UnfinishedRequests {
  /** Of each client, oldest first, with when their time is over. */
  const waiting = new Map<string, Map<string, number>>();
  const clientOf = new Map<string, string>();

  const remove = (key: string) => {
    const client = clientOf.get(key);
    if (client === undefined) return;
    clientOf.delete(key);
    const its = waiting.get(client);
    its?.delete(key);
    if (its?.size === 0) waiting.delete(client);
  };
  const removeOldest = (client: string): string[] => {
    const [oldest] = waiting.get(client)?.keys() ?? [];
    if (oldest === undefined) return [];
    remove(oldest);
    return [oldest];
  };
  const forgetExpired = (client: string) => {
    const now = clock.now();
    for (const [key, expiresAt] of waiting.get(client) ?? []) if (expiresAt <= now) remove(key);
  };
  const clientWithMost = (): string => {
    let [most = '', size] = ['', 0];
    for (const [client, its] of waiting) if (its.size > size) [most, size] = [client, its.size];
    return most;
  };

  return {
    remove,
    add(client, key, expiresAt) {
      if (clientOf.has(key)) return [];
      const gone: string[] = [];
      if ((waiting.get(client)?.size ?? 0) >= requestsPerClient) forgetExpired(client);
      if ((waiting.get(client)?.size ?? 0) >= requestsPerClient) gone.push(...removeOldest(client));
      if (clientOf.size >= requestsInAll) for (const each of [...waiting.keys()]) forgetExpired(each);
      if (clientOf.size >= requestsInAll) gone.push(...removeOldest(clientWithMost()));
      const its = waiting.get(client) ?? new Map<string, number>();
      waiting.set(client, its.set(key, expiresAt));
      clientOf.set(key, client);
      return gone;
    },
  };
}

/** Clocks and networks are not exact: who waits for the interval must not be told to wait longer. */
const EARLY_MS = 1_000;

/** RFC 8628 section 3.5 and CIBA section 11: true when a client asks again too soon, which makes its interval longer. One replica's view. */
export function createPollPace(clock: Clock): (code: string) => boolean {
  const stepMs = authorizationLimits.pollIntervalSeconds * 1000;
  const polls = createBoundedCache<{ at: number; intervalMs: number }>(authorizationLimits.requestsInAll);
  return (code) => {
    const now = clock.now();
    const last = polls.get(code);
    const isTooSoon = last !== undefined && now - last.at < last.intervalMs - EARLY_MS;
    polls.set(code, { at: now, intervalMs: (last?.intervalMs ?? stepMs) + (isTooSoon ? stepMs : 0) });
    return isTooSoon;
  };
}
