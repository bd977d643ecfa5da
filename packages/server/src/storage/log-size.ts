import type { Database } from './storage.ts';

/** How many records a log has: they are numbered from 0, without gaps. */
export async function logSize(db: Database, log: string): Promise<number> {
  const last = await db
    .selectFrom('records')
    .select('sequence')
    .where('log', '=', log)
    .orderBy('sequence', 'desc')
    .limit(1)
    .executeTakeFirst();
  return last ? last.sequence + 1 : 0;
}
