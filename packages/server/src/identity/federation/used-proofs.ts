import { GatehouseError } from '../../platform/index.ts';
import type { Database, DatabaseTransaction } from '../../storage/index.ts';
import { federationLimits } from './limits.ts';

/**
 * Uses a proof up: once, or as often as it comes with the key of its first use. In the transaction that acts on it, so that of two
 * requests with one proof, on whichever replicas, one is refused.
 */
export async function useProof(
  transaction: DatabaseTransaction,
  proof: { id: string; expiresAt: number; reuse: 'once' | 'same-key'; usedWith: string },
): Promise<void> {
  const { numInsertedOrUpdatedRows } = await transaction
    .insertInto('outside_tokens')
    .values({
      id: proof.id,
      used_with: proof.usedWith,
      expires_at: proof.expiresAt + federationLimits.leewaySeconds * 1000,
    })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .executeTakeFirstOrThrow();
  if (numInsertedOrUpdatedRows === 1n) return;
  if (proof.reuse === 'same-key') {
    const row = await transaction
      .selectFrom('outside_tokens')
      .select('used_with')
      .where('id', '=', proof.id)
      .executeTakeFirst();
    if (row?.used_with === proof.usedWith && proof.usedWith !== '') return;
    throw new GatehouseError(
      'forbidden',
      'outside-token.other-key',
      'The token was used before, with another key or with none: present it with that key (a DPoP proof), or get a new token.',
    );
  }
  throw new GatehouseError(
    'forbidden',
    'outside-token.used',
    'The token was used before: get a new one for every request.',
  );
}

/** Forgets proofs that nobody can present any more. */
export async function forgetExpiredProofs(db: Database, now: number): Promise<void> {
  await db.deleteFrom('outside_tokens').where('expires_at', '<', now).execute();
}
