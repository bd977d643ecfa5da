import { createHmac, randomBytes } from 'node:crypto';
import { GatehouseError } from '../../platform/index.ts';
import type { DatabaseTransaction } from '../../storage/index.ts';

const USER_HANDLE_KEY = 'people.user-handle-key';

/**
 * The user handle that authenticators keep: the same for a person on every replica, and nothing about them to anyone else
 * (WebAuthn Level 3, section 14.6.1), hence keyed.
 */
export async function userHandle(transaction: DatabaseTransaction, person: string): Promise<Buffer> {
  const read = () =>
    transaction.selectFrom('meta').select('value').where('key', '=', USER_HANDLE_KEY).executeTakeFirst();
  let key = await read();
  if (!key) {
    await transaction
      .insertInto('meta')
      .values({ key: USER_HANDLE_KEY, value: randomBytes(32).toString('base64url') })
      .onConflict((conflict) => conflict.column('key').doNothing())
      .execute();
    key = await read();
  }
  if (!key) throw new GatehouseError('internal', 'people.user-handle-key', 'The key of user handles is missing.');
  return createHmac('sha256', Buffer.from(key.value, 'base64url')).update(person).digest();
}
