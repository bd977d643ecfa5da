import type { DatabaseTransaction } from '../storage/index.ts';
import type { ChangeSet, Context } from './context.ts';

/** Policies are made from servers, definitions, templates and policies; agents come and go without. */
export async function validateWithin(
  context: Context,
  transaction: DatabaseTransaction,
  changes: ChangeSet,
): Promise<void> {
  if (!context.validate) return;
  const announced = [...changes.announcements.values()];
  if (!announced.some(({ topic }) => topic === 'object' || topic === 'definition' || topic === 'policy')) return;
  context.validate(await context.keeper.candidate(transaction, announced));
}
