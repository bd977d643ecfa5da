import type { Log } from '../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Storage } from './storage.ts';

/**
 * What a migration that brings a seal has found without one is sealed when the server is first started after it (`meta` says that it is due),
 * and never again. INVARIANT: the database alone has nothing sealed: once the log says that it was done, on an installation that had nothing
 * to seal as well, neither a mark that comes nor one that goes has it done anew.
 */
export async function sealOnce(
  {
    storage,
    recordChange,
    log,
  }: { storage: Pick<Storage, 'db' | 'transaction'>; recordChange: RecordChange; log: Log },
  {
    what,
    operation,
    seal,
  }: {
    /** In the plural, as in `seal:passkeys` in `meta`. */
    what: string;
    /** Of the record, which no retention may take. */
    operation: string;
    /** Seals what has no seal, and says what that was, one by one. */
    seal(transaction: DatabaseTransaction): Promise<string[]>;
  },
): Promise<void> {
  const { db } = storage;
  const done = await db.selectFrom('meta').select('key').where('key', '=', `sealed:${what}`).executeTakeFirst();
  // Read once at the most, outside of the transaction, for the record may be long, and as it was signed: columns beside it can be changed unseen.
  const recorded =
    done ??
    (await db
      .selectFrom('records')
      .select('action_id')
      .where('entry', 'like', `%"operation":"${operation}"%`)
      .limit(1)
      .executeTakeFirst());
  const refused = await storage.transaction(async (transaction) => {
    const due = await transaction
      .deleteFrom('meta')
      .where('key', '=', `seal:${what}`)
      .returning('key')
      .executeTakeFirst();
    const first = await transaction
      .insertInto('meta')
      .values({ key: `sealed:${what}`, value: 'done' })
      .onConflict((conflict) => conflict.doNothing())
      .returning('key')
      .executeTakeFirst();
    if (first && !recorded) {
      const sealed = due ? await seal(transaction) : [];
      const changes = sealed.length > 0 ? sealed : [`no ${what} were there to be sealed`];
      await recordChange(transaction, { operation, by: 'operator', changes });
      return false;
    }
    if (!due) return false;
    const changes = [`the database asked again for ${what} to be sealed: none was`];
    await recordChange(transaction, { operation: 'seal.refuse', by: 'gatehouse', changes });
    return true;
  });
  if (refused) log.error('somebody has written to the database that rows without a seal be sealed; none was', { what });
}
