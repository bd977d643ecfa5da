import type { DatabaseTransaction } from '../storage/index.ts';
import { appliedDigest, type ObjectManifest, splitKey, toObjectBody } from './objects.ts';
import type { Step } from './plan.ts';

/** Records go by what the log says was applied, and not by what stands in the database alone: this says which is which. */
export async function standingOf(
  transaction: DatabaseTransaction,
  { key, after }: Step,
  by: string,
  now: number,
): Promise<string[]> {
  const { kind, name } = splitKey(key);
  const before = await transaction
    .selectFrom('objects')
    .select(['body', 'updated_at'])
    .where('kind', '=', kind)
    .where('name', '=', name)
    .executeTakeFirst();
  const body = after && toObjectBody({ manifest: after as ObjectManifest, appliedBy: by });
  return [
    ...(body === null ? [] : [`counts as ${appliedDigest({ body, updated_at: now })}`]),
    ...(before ? [`in place of ${appliedDigest(before)}`] : []),
  ];
}
