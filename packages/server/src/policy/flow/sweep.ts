import { type Clock, limits, newId } from '../../platform/index.ts';
import type { Storage } from '../../storage/index.ts';
import { holderOfTask } from './held.ts';
import { flowLimits } from './limits.ts';

const AT_ONCE = 2_000;
const ROUNDS = 20;

/**
 * Removes what tasks have seen and what was endorsed for them when they have been over long enough, with the fences that stood for it. What
 * agents and stores have seen stays. Ids begin with the time at which they were made, so that the oldest are found without looking at others.
 */
export async function sweepFlow({ storage, clock }: { storage: Storage; clock: Clock }): Promise<void> {
  const startedBefore = clock.now() - flowLimits.keptDays * 86_400_000 - limits.taskTtlSeconds * 1_000;
  const task = newId('tsk', startedBefore);
  for (let round = 0; round < ROUNDS; round++) {
    const [from, to] = [holderOfTask(''), holderOfTask(task)];
    const old = await storage.db
      .selectFrom('flow_labels')
      .select('holder')
      .distinct()
      .where('holder', '>', from)
      .where('holder', '<', to)
      .limit(AT_ONCE)
      .execute();
    const endorsed = await storage.db
      .selectFrom('flow_endorsements')
      .select('task')
      .distinct()
      .where('task', '<', task)
      .limit(AT_ONCE)
      .execute();
    const holders = [
      ...new Set([...old.map(({ holder }) => holder), ...endorsed.map((each) => holderOfTask(each.task))]),
    ];
    if (holders.length === 0) return;
    await storage.transaction(async (transaction) => {
      for (let at = 0; at < holders.length; at += CHUNK) {
        const some = holders.slice(at, at + CHUNK);
        const tasks = some.map((holder) => holder.slice(from.length));
        const fences = some.map((holder) => `flow:${holder}`);
        await transaction.deleteFrom('flow_labels').where('holder', 'in', some).execute();
        await transaction.deleteFrom('flow_heads').where('holder', 'in', some).execute();
        await transaction.deleteFrom('flow_endorsements').where('task', 'in', tasks).execute();
        await transaction.deleteFrom('fences').where('key', 'in', fences).execute();
      }
    });
    if (old.length < AT_ONCE && endorsed.length < AT_ONCE) return;
  }
}

const CHUNK = 500;
