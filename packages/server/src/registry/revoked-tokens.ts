import type { DatabaseTransaction } from '../storage/index.ts';
import { type Context, emptyChangeSet, flush, raise, showOwn } from './context.ts';

export interface RevokedToken {
  id: string;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  /** That it was for. */
  task?: string;
}

/** An access token that is given back or taken away: refused at every door from here on, whatever it says of itself. */
export async function revokeToken(
  context: Context,
  { id: tokenId, expiresAt, task }: RevokedToken,
  by: string,
): Promise<void> {
  const changes = await context.storage.transaction(async (transaction) => {
    const changes = emptyChangeSet();
    const known = await transaction
      .selectFrom('revoked_tokens')
      .select('token_id')
      .where('token_id', '=', tokenId)
      .executeTakeFirst();
    if (known) return changes;
    await transaction.insertInto('revoked_tokens').values({ token_id: tokenId, expires_at: expiresAt }).execute();
    await forgetExpiredTokens(transaction, context.clock.now());
    raise(changes, `token:${tokenId}`);
    changes.records.push({
      ...{ operation: 'token.revoke', by, ...(task !== undefined && { task }) },
      changes: [`token ${tokenId} revoked`],
    });
    await flush(context, transaction, changes);
    if (task !== undefined) await context.tokenRevoked?.(transaction, task, by);
    return changes;
  });
  await showOwn(context, changes);
}

const DAY_MS = 86_400_000;
const TOKENS_FORGOTTEN_AT_ONCE = 100;

/** A day after they expired no clock takes them for valid any more. */
async function forgetExpiredTokens(transaction: DatabaseTransaction, now: number): Promise<void> {
  const expired = await transaction
    .selectFrom('revoked_tokens')
    .select('token_id')
    .where('expires_at', '<', now - DAY_MS)
    .limit(TOKENS_FORGOTTEN_AT_ONCE)
    .execute();
  if (expired.length === 0) return;
  const ids = expired.map(({ token_id }) => token_id);
  await transaction.deleteFrom('revoked_tokens').where('token_id', 'in', ids).execute();
  await transaction
    .deleteFrom('fences')
    .where(
      'key',
      'in',
      ids.map((id) => `token:${id}`),
    )
    .execute();
}
