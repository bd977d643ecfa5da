import type { Clock } from '../../platform/index.ts';
import type { RecordChange, Storage } from '../../storage/index.ts';
import { leaseLimits } from './limits.ts';
import { about } from './rows.ts';
import { liveStates, TEST_PURPOSE } from './types.ts';

export interface MarkingDependencies {
  storage: Storage;
  /** Whether an agent may act at all: one that is suspended holds nothing. */
  isActive(agent: string): boolean;
  recordChange: RecordChange;
  clock: Clock;
}

const MAY_BE_USED = ['intended', ...liveStates] as const;

/**
 * What may not be used any more begins to end: its time, its task or its one call is over, nobody has made it in time, or its task, its agent or one
 * that it was handed on from is stopped. Asks no provider. Gives how many there were.
 */
export function createMarking({ storage, isActive, recordChange, clock }: MarkingDependencies): () => Promise<number> {
  /** Each lease's task with itself and with all that it was handed on from. */
  const chains = () =>
    storage.db.withRecursive('chains(task, link)', (query) =>
      query
        .selectFrom('leases')
        .select(['leases.task as task', 'leases.task as link'])
        .where('leases.state', 'in', MAY_BE_USED)
        .where('leases.purpose', '<>', TEST_PURPOSE)
        .union(
          query
            .selectFrom('chains')
            .innerJoin('tasks', 'tasks.id', 'chains.link')
            .select(['chains.task as task', 'tasks.parent as link'])
            .where('tasks.parent', 'is not', null)
            .$narrowType<{ link: string }>(),
        ),
    );

  async function stoppedAgents(): Promise<string[]> {
    const holders = await chains()
      .selectFrom('chains')
      .innerJoin('tasks', 'tasks.id', 'chains.link')
      .select('tasks.agent')
      .distinct()
      .execute();
    return holders.map(({ agent }) => agent).filter((agent) => !isActive(agent));
  }

  async function over(now: number) {
    const stopped = await stoppedAgents();
    const rows = await chains()
      .selectFrom('leases')
      .leftJoin('tasks', 'tasks.id', 'leases.task')
      .select(['leases.id', 'leases.agent', 'leases.task', 'leases.environment', 'leases.provider', 'leases.state'])
      .select(['leases.expires_at', 'leases.making_until', 'leases.single_use'])
      .select(['tasks.state as task_state', 'tasks.expires_at as task_ends', 'tasks.suspended as task_suspended'])
      .where('leases.state', 'in', MAY_BE_USED)
      .where((where) =>
        where.or([
          where('leases.expires_at', '<=', now),
          where.and([where('leases.state', '=', 'intended'), where('leases.making_until', '<=', now)]),
          where.and([where('tasks.state', 'is', null), where('leases.purpose', '<>', TEST_PURPOSE)]),
          where('tasks.state', '<>', 'active'),
          where('tasks.expires_at', '<=', now),
          // Whoever made it has died before ending it: nobody else uses it.
          where.and([
            where('leases.single_use', '=', 1),
            where.or([
              where.exists(
                where
                  .selectFrom('records')
                  .select('records.sequence')
                  .whereRef('records.action_id', '=', 'leases.handed_by')
                  .where('records.kind', '=', 'outcome'),
              ),
              where.and([
                where('leases.state', '=', 'created'),
                where('leases.created_at', '<=', now - leaseLimits.unusedMs),
              ]),
            ]),
          ]),
          where(
            'leases.task',
            'in',
            where
              .selectFrom('chains')
              .innerJoin('tasks as above', 'above.id', 'chains.link')
              .select('chains.task')
              .where((link) =>
                link.or([
                  link('above.suspended', 'is not', null),
                  ...(stopped.length > 0 ? [link('above.agent', 'in', stopped)] : []),
                ]),
              ),
          ),
        ]),
      )
      .limit(leaseLimits.dueAtOnce)
      .execute();
    return rows.map((row) => ({ row, reason: reasonOf(row, stopped, now) }));
  }

  return async () => {
    const now = clock.now();
    const found = await over(now);
    for (const { row, reason } of found)
      await storage.transaction(async (transaction) => {
        const moved = await transaction
          .updateTable('leases')
          .set({ state: 'revoking', revoking_at: now, next_try_at: now, reason, sealed_credential: null })
          .where('id', '=', row.id)
          .where('state', '=', row.state)
          .executeTakeFirst();
        if (moved.numUpdatedRows !== 1n) return;
        await recordChange(transaction, {
          operation: 'lease.revoke',
          by: 'gatehouse',
          ...about(row),
          changes: [`lease ${row.id} of ${row.provider} is being ended: ${reason}`],
        });
        await storage.announce(transaction, 'lease', row.id, now);
      });
    return found.length;
  };
}

interface Over {
  agent: string;
  task: string;
  state: string;
  expires_at: number;
  making_until: number;
  task_state: string | null;
  task_ends: number | null;
  task_suspended: string | null;
  single_use: number;
}

function reasonOf(row: Over, stopped: readonly string[], now: number): string {
  if (row.task !== '' && (row.task_state !== 'active' || (row.task_ends ?? 0) <= now)) return 'its task is over';
  if (row.expires_at <= now) return 'expired';
  if (row.task_suspended !== null) return 'its task is suspended';
  if (stopped.includes(row.agent)) return 'its agent is not active';
  if (row.state === 'intended' && row.making_until <= now) return 'it was not made in time';
  if (row.single_use === 1) return 'its one call is over';
  return 'a task or an agent that it was handed on from is stopped';
}
