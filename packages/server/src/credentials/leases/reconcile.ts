import { leaseLimits } from './limits.ts';
import { createMarking, type MarkingDependencies } from './mark-over.ts';
import type { LeaseRow } from './rows.ts';
import { createTakingBack, type TakingBackDependencies } from './take-back.ts';

export type ReconcilerDependencies = MarkingDependencies & TakingBackDependencies;

export interface Reconciler {
  /**
   * Ends everything that is due, as far as providers let it. Called whenever there is something to end, also while it is at work: what it waits for
   * keeps nothing else from being ended.
   */
  work(): Promise<void>;
  close(): Promise<void>;
}

/** What is due at one provider, and those who are at it. */
interface Line {
  rows: LeaseRow[];
  /** Agents of whom somebody is at one that has failed before. */
  trying: Set<string>;
  workers: Set<Promise<void>>;
}

/**
 * Takes back what was issued: what has run out, whose task is over or stopped, what was half made. Every replica does, one of them each lease at a
 * time. Providers don't wait for each other, nor what was never tried for what fails. Nothing is ever given up.
 */
export function createReconciler(deps: ReconcilerDependencies): Reconciler {
  const { storage, clock, log } = deps;
  const markOver = createMarking(deps);
  const endOne = createTakingBack(deps);
  const lines = new Map<string, Line>();
  let looking: Promise<void> | undefined;
  let again = false;
  let closed = false;

  async function look(): Promise<void> {
    while (again && !closed) {
      again = false;
      if ((await markOver()) === leaseLimits.dueAtOnce) again = true;
      const providers = await due().select('provider').distinct().execute();
      for (const { provider } of providers) await staff(provider);
    }
  }

  const due = () =>
    storage.db.selectFrom('leases').where('state', 'in', ['revoking', 'stuck']).where('next_try_at', '<=', clock.now());

  /** What was never tried comes first: what fails must not keep it waiting. */
  const dueOf = (provider: string): Promise<LeaseRow[]> =>
    due()
      .selectAll()
      .where('provider', '=', provider)
      .orderBy('attempts')
      .orderBy('next_try_at')
      .limit(leaseLimits.dueAtOnce)
      .execute();

  async function staff(provider: string): Promise<void> {
    const line = lines.get(provider) ?? { rows: [], trying: new Set(), workers: new Set() };
    lines.set(provider, line);
    line.rows = await dueOf(provider);
    for (let more = line.rows.length; more > 0 && line.workers.size < leaseLimits.revokedAtOnce; more--) {
      const worker: Promise<void> = empty(provider, line)
        .catch((error) => log.error('credentials could not be ended', { provider, error }))
        .finally(() => line.workers.delete(worker));
      line.workers.add(worker);
    }
  }

  async function empty(provider: string, line: Line): Promise<void> {
    while (!closed) {
      if (line.rows.length === 0) line.rows = await dueOf(provider);
      const row = next(line);
      if (!row) return;
      if (row.attempts === 0) {
        await endOne(row);
        continue;
      }
      line.trying.add(row.agent);
      const isGone = await endOne(row).finally(() => line.trying.delete(row.agent));
      if (isGone) await soon(provider);
      else if (isGone === false) await postpone(line, row);
    }
  }

  /** Of what has failed before, one of each agent at a time: however much of it an agent has made, others get their turn. */
  function next(line: Line): LeaseRow | undefined {
    const at = line.rows.findIndex(({ attempts, agent }) => attempts === 0 || !line.trying.has(agent));
    return at === -1 ? undefined : line.rows.splice(at, 1)[0];
  }

  /** Failed again: what else of its agent has failed would only wait for the same, and keep others waiting. */
  async function postpone(line: Line, { provider, agent }: LeaseRow): Promise<void> {
    line.rows = line.rows.filter((row) => row.agent !== agent || row.attempts === 0);
    await storage.transaction(async (transaction) => {
      await transaction
        .updateTable('leases')
        .set({ next_try_at: clock.now() + leaseLimits.retryMostMs })
        .where('provider', '=', provider)
        .where('agent', '=', agent)
        .where('attempts', '>', 0)
        .where('state', 'in', ['revoking', 'stuck'])
        .where('next_try_at', '<=', clock.now())
        .execute();
    });
  }

  /** It answers again: what waits for it is tried now. */
  async function soon(provider: string): Promise<void> {
    await storage.transaction(async (transaction) => {
      await transaction
        .updateTable('leases')
        .set({ next_try_at: clock.now() })
        .where('provider', '=', provider)
        .where('state', 'in', ['revoking', 'stuck'])
        .where('attempts', '>', 0)
        .execute();
    });
  }

  async function idle(): Promise<void> {
    const workers = [...lines.values()].flatMap((line) => [...line.workers]);
    if (workers.length === 0) return;
    await Promise.all(workers);
    await idle();
  }

  return {
    async work() {
      if (closed) return;
      again = true;
      looking ??= look().finally(() => {
        looking = undefined;
      });
      await looking;
      await idle();
    },
    async close() {
      closed = true;
      await looking?.catch(() => undefined);
      await idle();
    },
  };
}
