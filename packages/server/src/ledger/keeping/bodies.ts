import type { DatabaseTransaction } from '../../storage/index.ts';

/** Approvals that may still let something run need what they are about. */
const OPEN_APPROVALS = ['pending', 'approved'];

/**
 * Removes the arguments of actions with the salt of their digest, and what an approval of them has kept. The records stay as they were
 * hashed. Gives how many bodies are gone.
 */
export async function eraseBodies(transaction: DatabaseTransaction, actionIds: string[], now: number): Promise<number> {
  if (actionIds.length === 0) return 0;
  const { numUpdatedRows } = await transaction
    .updateTable('bodies')
    .set({ body: null, salt: new Uint8Array(), erased_at: now })
    .where('action_id', 'in', actionIds)
    .where('body', 'is not', null)
    .executeTakeFirst();
  const approvals = await transaction
    .selectFrom('approvals')
    .select(['id', 'body'])
    .where('action_id', 'in', actionIds)
    .where('state', 'not in', OPEN_APPROVALS)
    .execute();
  for (const { id, body } of approvals) {
    const kept = JSON.parse(body) as Record<string, unknown>;
    if (kept.arguments === null) continue;
    await transaction
      .updateTable('approvals')
      .set({ body: JSON.stringify({ ...kept, arguments: null }) })
      .where('id', '=', id)
      .execute();
  }
  return Number(numUpdatedRows);
}
