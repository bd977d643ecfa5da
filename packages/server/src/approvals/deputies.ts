import type { Database, DatabaseTransaction, Tables } from '../storage/index.ts';
import type { Deputyship } from './rule/circle.ts';

/** An approval waits for a day at most: a yes that was given for somebody longer ago is in none that is open. */
const LOOKS_BACK_MS = 2 * 86_400_000;

export const toDeputyship = (row: Tables['deputies']): Deputyship => ({
  id: row.id,
  person: row.person,
  deputy: row.deputy,
  from: row.from_at,
  until: row.until_at,
  madeBy: row.made_by.replace(/^person:/, ''),
});

/** Who speaks for whom, or did when something that is open was answered. What was taken back never counted. */
export async function readDeputies(db: Database | DatabaseTransaction, now: number): Promise<Deputyship[]> {
  const rows = await db
    .selectFrom('deputies')
    .selectAll()
    .where('withdrawn_at', 'is', null)
    .where('until_at', '>', now - LOOKS_BACK_MS)
    .execute();
  return rows.map(toDeputyship);
}
