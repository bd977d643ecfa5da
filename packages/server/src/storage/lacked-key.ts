import type { Sealer } from './sealer.ts';
import type { DatabaseTransaction, Storage } from './storage.ts';

/**
 * Id of the key-encryption key that one of these is sealed with, where the database is sealed with it by now and this replica does not hold it. It is told
 * again of the change, for it has to stop. What names another key was written by somebody else.
 */
export async function lackedKey(
  { announce }: Pick<Storage, 'announce'>,
  transaction: DatabaseTransaction,
  sealer: Sealer,
  now: number,
  ...sealed: (Uint8Array | null)[]
): Promise<string | undefined> {
  const ids = sealed.flatMap((each) => (each && sealer.lacks(each)) ?? []);
  if (ids.length === 0) return undefined;
  const key = await transaction
    .selectFrom('key_encryption_keys')
    .select('id')
    .where('id', 'in', ids)
    .where('state', '=', 'current')
    .executeTakeFirst();
  if (key) await announce(transaction, 'key', `key-encryption:${key.id}`, now);
  return key?.id;
}
