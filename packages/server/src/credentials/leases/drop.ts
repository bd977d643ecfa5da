import { dropStatement, type SecondYesStatement } from '@gatehouse/protocol';
import { requireAsAsked, type SecondYes, sealAsked } from '../../identity/index.ts';
import { type Clock, GatehouseError } from '../../platform/index.ts';
import type { Database, DatabaseTransaction, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { unknownLease } from './find.ts';
import { quietSeal } from './quiet.ts';
import { about, type LeaseRow, lastEnd, nameOf, toLease } from './rows.ts';
import type { Alarm } from './types.ts';

/** The token of the host is nobody in particular: whoever agrees to what it asks has asked, and somebody else has to agree. */
const OPERATOR = 'operator';

/**
 * Gives up a stuck lease: it is not tried any more, whatever it may still do. One person asks, with the reason, and another agrees with a passkey
 * to exactly that; both are on record with what may remain.
 */
export function createDropping({
  storage,
  recordChange,
  sealer,
  alarm,
  clock,
}: {
  storage: Storage;
  recordChange: RecordChange;
  sealer: Sealer;
  alarm?: Alarm | undefined;
  clock: Clock;
}) {
  async function stuckIn(database: Database | DatabaseTransaction, id: string): Promise<LeaseRow> {
    const row = await database.selectFrom('leases').selectAll().where('id', '=', id).executeTakeFirst();
    if (!row) throw unknownLease(id);
    if (row.state !== 'stuck')
      throw new GatehouseError(
        'conflict',
        'lease.not-stuck',
        `It is ${row.state}: only a credential whose end has failed for long is given up. \`gatehouse leases revoke\` ends one.`,
      );
    return row;
  }

  function asked(row: LeaseRow): SecondYesStatement {
    const statement = dropStatement(toLease(row));
    if (!statement) throw new GatehouseError('conflict', 'lease.drop-not-asked', 'Nobody has asked to give it up.');
    return statement;
  }

  const record = (
    transaction: DatabaseTransaction,
    row: LeaseRow,
    { operation, by, words, yes = [] }: { operation: string; by: string; words: string; yes?: string[] },
  ) =>
    recordChange(transaction, {
      operation,
      by,
      action: row.id,
      ...about(row),
      changes: [`lease ${row.id} of ${row.provider} ${words}`, remainsOf(row), ...yes],
      ...(row.drop_reason !== null && { detail: row.drop_reason }),
    });

  /** With the seal: asked for in this person's name. */
  async function askIn(transaction: DatabaseTransaction, row: LeaseRow): Promise<void> {
    const { id, drop_asked_by, drop_asked_at, drop_reason } = row;
    await transaction
      .updateTable('leases')
      .set({ drop_asked_by, drop_asked_at, drop_reason, drop_seal: sealAsked(sealer, asked(row)) })
      .where('id', '=', id)
      .where('state', '=', 'stuck')
      .execute();
  }

  return {
    ask: (id: string, by: string, reason: string): Promise<void> =>
      storage.transaction(async (transaction) => {
        const found = await stuckIn(transaction, id);
        const row = { ...found, drop_asked_by: by, drop_asked_at: clock.now(), drop_reason: reason };
        await askIn(transaction, row);
        const words = 'is to be given up, if somebody else agrees';
        await record(transaction, row, { operation: 'lease.ask-drop', by, words });
      }),

    statement: async (id: string): Promise<SecondYesStatement> => asked(await stuckIn(storage.db, id)),

    agree: (id: string, said: SecondYes): Promise<void> =>
      storage.transaction(async (transaction) => {
        const row = await stuckIn(transaction, id);
        const statement = asked(row);
        requireAsAsked(sealer, statement, row.drop_seal);
        const { by } = said;
        const yes = [await said.to(transaction, statement)];
        if (row.drop_asked_by === OPERATOR) {
          await askIn(transaction, { ...row, drop_asked_by: by });
          const words = `is to be given up, asked for by ${OPERATOR}`;
          return record(transaction, row, { operation: 'lease.take-up-drop', by, words, yes });
        }
        const now = clock.now();
        const over = { state: 'dropped', next_try_at: null };
        const { numUpdatedRows } = await transaction
          .updateTable('leases')
          .set({
            ...{ ...over, seal: quietSeal(sealer, { ...row, ...over }), dropped_by: by, dropped_at: now },
            ...{ sealed_credential: null, sealed_revocation: null },
          })
          .where('id', '=', id)
          .where('state', '=', 'stuck')
          .where('drop_asked_by', '=', row.drop_asked_by)
          .executeTakeFirst();
        if (numUpdatedRows !== 1n)
          throw new GatehouseError('conflict', 'lease.not-stuck', 'It has changed meanwhile. Look again.');
        const words = `is GIVEN UP, asked for by ${row.drop_asked_by}`;
        await record(transaction, row, { operation: 'lease.drop', by, words, yes });
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
