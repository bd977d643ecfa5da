import { type Clock, GatehouseError } from '../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Storage } from '../../storage/index.ts';
import { unknownLease } from './find.ts';
import { about, type LeaseRow, lastEnd, nameOf, toLease } from './rows.ts';
import type { Alarm } from './types.ts';

/** The token of the host is nobody in particular: whoever agrees to what it asks has asked, and somebody else has to agree. */
const OPERATOR = 'operator';

/**
 * Gives up a stuck lease: it is not tried any more, whatever it may still do. One person asks, with the reason, and another agrees; both are on
 * record with what may remain.
 */
export function createDropping({
  storage,
  recordChange,
  alarm,
  clock,
}: {
  storage: Storage;
  recordChange: RecordChange;
  alarm?: Alarm | undefined;
  clock: Clock;
}) {
  async function stuckIn(transaction: DatabaseTransaction, id: string): Promise<LeaseRow> {
    const row = await transaction.selectFrom('leases').selectAll().where('id', '=', id).executeTakeFirst();
    if (!row) throw unknownLease(id);
    if (row.state !== 'stuck')
      throw new GatehouseError(
        'conflict',
        'lease.not-stuck',
        `It is ${row.state}: only a credential whose end has failed for long is given up. \`gatehouse leases revoke\` ends one.`,
      );
    return row;
  }

  const record = (transaction: DatabaseTransaction, row: LeaseRow, operation: string, by: string, words: string) =>
    recordChange(transaction, {
      operation,
      by,
      ...about(row),
      changes: [`lease ${row.id} of ${row.provider} ${words}`, remainsOf(row)],
      ...(row.drop_reason !== null && { detail: row.drop_reason }),
    });

  return {
    ask: (id: string, by: string, reason: string): Promise<void> =>
      storage.transaction(async (transaction) => {
        const row = { ...(await stuckIn(transaction, id)), drop_reason: reason };
        await transaction
          .updateTable('leases')
          .set({ drop_asked_by: by, drop_asked_at: clock.now(), drop_reason: reason })
          .where('id', '=', id)
          .where('state', '=', 'stuck')
          .execute();
        await record(transaction, row, 'lease.ask-drop', by, 'is to be given up, if somebody else agrees');
      }),

    agree: (id: string, by: string): Promise<void> =>
      storage.transaction(async (transaction) => {
        const row = await stuckIn(transaction, id);
        if (row.drop_asked_by === null)
          throw new GatehouseError('conflict', 'lease.drop-not-asked', 'Nobody has asked to give it up.');
        if (row.drop_asked_by === OPERATOR) {
          await transaction.updateTable('leases').set({ drop_asked_by: by }).where('id', '=', id).execute();
          return record(transaction, row, 'lease.take-up-drop', by, `is to be given up, asked for by ${OPERATOR}`);
        }
        if (row.drop_asked_by === by)
          throw new GatehouseError(
            'forbidden',
            'lease.second-person',
            'Whoever asked can’t agree: somebody else has to.',
          );
        const now = clock.now();
        const { numUpdatedRows } = await transaction
          .updateTable('leases')
          .set({
            ...{ state: 'dropped', dropped_by: by, dropped_at: now, next_try_at: null },
            ...{ sealed_credential: null, sealed_revocation: null },
          })
          .where('id', '=', id)
          .where('state', '=', 'stuck')
          .where('drop_asked_by', '=', row.drop_asked_by)
          .executeTakeFirst();
        if (numUpdatedRows !== 1n)
          throw new GatehouseError('conflict', 'lease.not-stuck', 'It has changed meanwhile. Look again.');
        await record(transaction, row, 'lease.drop', by, `is GIVEN UP, asked for by ${row.drop_asked_by}`);
        await storage.announce(transaction, 'lease', id, now);
        await alarm?.(transaction, toLease({ ...row, state: 'dropped' }));
      }),
  };
}

/** What somebody who has it may still do. */
export function remainsOf(row: LeaseRow): string {
  const until = new Date(lastEnd(row)).toISOString();
  return row.ends_by_itself === 1
    ? `it may work until ${until}`
    : `what was opened with it, and the account ${nameOf(row.id)} itself, may work until somebody ends them there`;
}
