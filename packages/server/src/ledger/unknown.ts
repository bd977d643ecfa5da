import type { ActionRecord } from '@gatehouse/protocol';
import type { Storage } from '../storage/index.ts';
import type { RecordInput } from './types.ts';

/**
 * Finds dispatches that never got an outcome: the gate died in between. A mark in `meta` remembers up to where all is settled, so
 * that a start reads only what came since.
 */
export function createUnknownCloser(storage: Storage, log: string) {
  const markKey = `settled:${log}`;
  let reached = 0;

  return {
    async find(): Promise<RecordInput[]> {
      const { db } = storage;
      const mark = await db.selectFrom('meta').select('value').where('key', '=', markKey).executeTakeFirst();
      const last = await db
        .selectFrom('records')
        .select('sequence')
        .where('log', '=', log)
        .orderBy('sequence', 'desc')
        .limit(1)
        .executeTakeFirst();
      reached = last ? last.sequence + 1 : 0;
      const rows = await db
        .selectFrom('records as dispatch')
        .select('dispatch.entry')
        .where('dispatch.log', '=', log)
        .where('dispatch.sequence', '>=', Number(mark?.value ?? 0))
        .where('dispatch.kind', '=', 'dispatch')
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('records as outcome')
                .select('outcome.sequence')
                .whereRef('outcome.action_id', '=', 'dispatch.action_id')
                .where('outcome.kind', '=', 'outcome'),
            ),
          ),
        )
        .execute();
      return rows.map(({ entry }) => {
        const {
          v: _v,
          time: _time,
          replica: _replica,
          arguments_digest: _arguments,
          result_digest: _result,
          ...record
        } = JSON.parse(entry) as ActionRecord;
        return record;
      });
    },

    async settled(): Promise<void> {
      await storage.db
        .insertInto('meta')
        .values({ key: markKey, value: String(reached) })
        .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: String(reached) }))
        .execute();
    },
  };
}
