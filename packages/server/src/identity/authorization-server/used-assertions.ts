import type { Clock } from '../../platform/index.ts';
import type { DatabaseTransaction, Storage } from '../../storage/index.ts';

/** Ids of client assertions (RFC 7523 `jti`) that were used: one row each in `oauth_artifacts`, until the assertion has expired. */
const MODEL = 'ReplayDetection';

/** True for the one call that uses `id`, on whichever replica; durable before it resolves. */
export async function useAssertion(storage: Storage, id: string, now: number, expiresAt: number): Promise<boolean> {
  return storage.transaction((transaction) => useAssertionWithin(transaction, id, now, expiresAt));
}

/** As part of what the assertion is used for: it counts as used only if that is done. */
export async function useAssertionWithin(
  transaction: DatabaseTransaction,
  id: string,
  now: number,
  expiresAt: number,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await transaction
    .insertInto('oauth_artifacts')
    .values({
      model: MODEL,
      id,
      payload: '{}',
      expires_at: expiresAt,
      consumed_at: now,
      uid: null,
      grant_id: null,
      user_code: null,
    })
    .onConflict((conflict) => conflict.columns(['model', 'id']).doNothing())
    .executeTakeFirstOrThrow();
  return numInsertedOrUpdatedRows === 1n;
}

/** Whoever comes a little late hears that their code has expired, and not that there is none. */
const EXPIRED_KEPT_MS = 60_000;

/** Forgets what has expired and could not be used again anyway: assertions, codes, requests that nobody answered, unused clients. */
export async function forgetExpired({ storage, clock }: { storage: Storage; clock: Clock }): Promise<void> {
  await storage.db
    .deleteFrom('oauth_artifacts')
    .where('expires_at', '<', clock.now() - EXPIRED_KEPT_MS)
    .execute();
}
