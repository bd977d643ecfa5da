import type { Clock } from '../platform/index.ts';
import type { Registry } from '../registry/index.ts';
import type { Storage } from '../storage/index.ts';

const AT_ONCE = 100;

/** Ends tasks whose time is over, so that what was opened for them is closed. They could do nothing since the moment itself. */
export async function endExpiredTasks({
  storage,
  registry,
  clock,
}: {
  storage: Storage;
  registry: Registry;
  clock: Clock;
}): Promise<number> {
  const expired = await storage.db
    .selectFrom('tasks')
    .select('id')
    .where('state', '=', 'active')
    .where('expires_at', '<=', clock.now())
    .limit(AT_ONCE)
    .execute();
  for (const { id } of expired) await registry.endTask(id, 'gatehouse');
  return expired.length;
}
