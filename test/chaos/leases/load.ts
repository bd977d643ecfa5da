import { seeded } from '../random.ts';
import type { LeaseScene } from './scene.ts';

/** What callers know: what the server has said that it did. */
export interface LeaseJournal {
  calls: number;
  /** Leases of which the server has said that they are being ended. */
  revoked: Set<string>;
  /** The end that the server has said of a renewed lease. */
  renewed: Map<string, number>;
}

export type LeaseEvent = 'renewing' | 'renewed' | 'revoking' | 'revoked' | 'answered';

const CALLERS = 6;

/** Callers that have credentials issued, used, renewed and ended, one thing after the other. Which is chosen by the seed. */
export function startLeaseLoad(
  scene: LeaseScene,
  journal: LeaseJournal,
  name: string,
  seed: number,
  onEvent: (event: LeaseEvent) => void,
): { stop(): Promise<void> } {
  let stopped = false;
  const { caller, operator, task } = scene;

  async function oneOf(random: () => number): Promise<string | undefined> {
    const { items } = await operator.call('GET /leases', { query: { open: 'true', limit: 50 } });
    const live = items.filter(({ state }) => state === 'created' || state === 'active');
    return live[Math.floor(random() * live.length)]?.id;
  }

  async function turn(id: string, random: () => number): Promise<void> {
    const what = random();
    if (what < 0.6) {
      journal.calls++;
      const { kind } = await caller.call(task, what < 0.35 ? 'each__ping' : 'shared__ping', { id });
      if (kind !== 'lost') onEvent('answered');
      return;
    }
    if (what < 0.7) return void (await operator.call('POST /providers/:name/test', { params: { name: 'chaos' } }));
    const lease = await oneOf(random);
    if (lease === undefined) return;
    const params = { id: lease };
    if (what < 0.85) {
      onEvent('renewing');
      const { expiresAt } = await operator.call('POST /leases/:id/renew', { params, body: { ttlSeconds: 900 } });
      journal.renewed.set(lease, Math.max(expiresAt, journal.renewed.get(lease) ?? 0));
      onEvent('renewed');
      return;
    }
    onEvent('revoking');
    await operator.call('POST /leases/:id/revoke', { params, body: {} });
    journal.revoked.add(lease);
    onEvent('revoked');
  }

  async function work(index: number): Promise<void> {
    const random = seeded(seed + index);
    // The server dies in the middle of it, and an error is as good as no answer.
    for (let at = 0; !stopped; at++)
      await turn(`${name}-${index}-${at}`, random).catch(() => new Promise((resolve) => setTimeout(resolve, 5)));
  }

  const working = Promise.all(Array.from({ length: CALLERS }, (_, index) => work(index)));
  return {
    async stop() {
      stopped = true;
      await working;
    },
  };
}
