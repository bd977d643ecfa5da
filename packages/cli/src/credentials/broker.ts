import { setTimeout as delay } from 'node:timers/promises';
import type { Gate } from '../bridge/gate.ts';
import type { Broker, Given, Wanted } from './types.ts';

/** As lib/leases of the server: less than this, or than a third, and another is asked for. */
const RENEW_BEFORE_MS = 30_000;
const MAX_POLL_MS = 5_000;
/**
 * A refusal counts for so long: clients ask again at once, kubectl six times for one command, and so many refused attempts would have the task suspended
 * (the circuit breaker) that nobody made.
 */
const REFUSED_MS = 5_000;

type Held = Extract<Given, { kind: 'given' }> & { task: string; since: number };

/**
 * Asks for credentials with the task of a gate, and keeps them in memory while they are good: clients ask again and again, and each hand-out is an
 * action on record.
 */
export function createBroker(gate: Pick<Gate, 'request' | 'task'>, clock: { now(): number } = Date): Broker {
  const kept = new Map<string, Held>();
  const refused = new Map<string, { answer: Given; at: number }>();
  const asking = new Map<string, Promise<Given>>();
  const isGood = ({ expiresAt, since }: Held) =>
    expiresAt - clock.now() > Math.min(RENEW_BEFORE_MS, (expiresAt - since) / 3);

  async function once(wanted: Wanted, key: string): Promise<Given & { retryMs?: number }> {
    const { response, task } = await gate.request('/task/credentials', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(wanted),
    });
    const body = (await response.json().catch(() => ({}))) as Record<string, unknown>;
    if (response.status === 202)
      return { kind: 'waiting', detail: String(body.detail), retryMs: Number(body.retry_after_seconds ?? 5) * 1_000 };
    if (!response.ok) {
      const { title = 'refused', detail = `HTTP ${response.status}` } = body;
      const answer: Given = { kind: 'refused', status: response.status, code: String(title), detail: String(detail) };
      if (response.status === 403) refused.set(key, { answer, at: clock.now() });
      return answer;
    }
    const held: Held = {
      kind: 'given',
      lease: String(body.lease),
      provider: wanted.provider,
      parts: body.credential as Record<string, string>,
      expiresAt: Date.parse(String(body.expires_at)),
      task: task.id,
      since: clock.now(),
    };
    kept.set(key, held);
    return held;
  }

  /**
   * One that is kept, where the server says that it is still in use: of a task that is over, of an agent that was stopped, or of a lease that a person has ended,
   * nothing more is given.
   */
  async function keptOf(key: string): Promise<Held | undefined> {
    const there = kept.get(key);
    if (!there) return undefined;
    if (isGood(there)) {
      const { response, task } = await gate.request(`/task/credentials/${encodeURIComponent(there.lease)}`, {});
      const { state } = (await response.json().catch(() => ({}))) as { state?: unknown };
      if (response.ok && state === 'active' && there.task === task.id) return there;
    }
    kept.delete(key);
    return undefined;
  }

  function refusedJustNow(key: string): Given | undefined {
    const last = refused.get(key);
    if (last && clock.now() - last.at < REFUSED_MS) return last.answer;
    refused.delete(key);
    return undefined;
  }

  return {
    async ask(wanted, waitMs) {
      const key = JSON.stringify([wanted.provider, wanted.scope ?? {}, wanted.seconds ?? null]);
      for (const giveUpAt = performance.now() + waitMs; ; ) {
        const begun =
          asking.get(key) ??
          keptOf(key)
            .then((there) => there ?? refusedJustNow(key) ?? once(wanted, key))
            .finally(() => asking.delete(key));
        asking.set(key, begun);
        const given = (await begun) as Given & { retryMs?: number };
        const left = giveUpAt - performance.now();
        if (given.kind !== 'waiting' || left <= 0) return given;
        await delay(Math.min(given.retryMs ?? MAX_POLL_MS, MAX_POLL_MS, left));
      }
    },
    held: () => [...kept.values()].filter(isGood),
    async end(lease) {
      for (const [key, held] of kept) if (held.lease === lease) kept.delete(key);
      const { response } = await gate.request(`/task/credentials/${encodeURIComponent(lease)}/end`, { method: 'POST' });
      await response.body?.cancel();
    },
    task: async () => (await gate.task()).id,
  };
}
