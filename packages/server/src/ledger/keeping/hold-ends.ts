import type { Clock, Log } from '../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { hasEnded, sealEnded, toHold } from './agreed.ts';
import { lookAgain } from './retention-arguments.ts';
import { createRecordReader } from './retention-record.ts';
import { scopeWords } from './scope.ts';

interface HoldEndDependencies {
  storage: Storage;
  recordChange: RecordChange;
  sealer: Sealer;
  clock: Clock;
  log: Log;
  ownLog: { id: string; vkey: string };
}

/**
 * Ends of holds that have no seal: one of before there were seals is sealed where the signed record says it; any other is taken back, on record.
 * Until either it holds.
 */
export function createHoldEnds({ storage, recordChange, sealer, clock, log, ownLog }: HoldEndDependencies) {
  const recorded = createRecordReader(storage, clock, ownLog);

  const unsealedIn = async (on: Storage['db'] | DatabaseTransaction) =>
    (await on.selectFrom('holds').selectAll().where('ended_at', 'is not', null).execute()).filter(
      (row) => !hasEnded(sealer, row),
    );

  return async function judgeEnds(): Promise<void> {
    if ((await unsealedIn(storage.db)).length === 0) return;
    const onRecord = await recorded.read();
    if ('problem' in onRecord) return;
    const { ended, saidEnded } = onRecord;
    const takenBack = await storage.transaction(async (transaction) => {
      const rows = await unsealedIn(transaction);
      for (const row of rows.filter(({ id }) => ended.has(id)))
        await transaction
          .updateTable('holds')
          .set({ ended_seal: sealEnded(sealer, row) })
          .where('id', '=', row.id)
          .execute();
      if (rows.some(({ id }) => ended.has(id))) await lookAgain(transaction);
      // What is not signed yet is waited for.
      const forged = rows.filter(({ id }) => !saidEnded.has(id));
      for (const row of forged) {
        const none = { end_asked_by: null, end_asked_at: null, end_seal: null };
        await transaction
          .updateTable('holds')
          .set({ ...none, ended_by: null, ended_at: null, ended_seal: null })
          .where('id', '=', row.id)
          .execute();
        const what = `${row.id} on ${scopeWords(toHold(row).scope)}`;
        const changes = [`hold ${what} was ended in the database, and no record says that anybody agreed: it holds`];
        await recordChange(transaction, { operation: 'seal.broken', by: 'gatehouse', action: row.id, changes });
      }
      return forged.map(({ id }) => id);
    });
    for (const hold of takenBack) log.error('ALARM: a legal hold was ended in the database, and holds', { hold });
  };
}
