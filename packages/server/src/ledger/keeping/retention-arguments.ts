import type { Clock } from '../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Storage } from '../../storage/index.ts';
import { keepingLimits as limits } from './limits.ts';
import { readRules } from './retention-rules.ts';
import { recordOf } from './walk.ts';

const DAY_MS = 86_400_000;
const KEY = 'keeping:arguments';

export interface OldBodies {
  storage: Storage;
  recordChange: RecordChange;
  clock: Clock;
  argumentsDays: number | null;
  eraseUnheld(transaction: DatabaseTransaction, actionIds: string[]): Promise<{ erased: number; held: number }>;
}

/** Arguments by their age, oldest first, for each number of days for which a class or the server keeps some. Says whether there may be more. */
export async function removeOldBodies(deps: OldBodies, mayGoOn: () => boolean): Promise<void> {
  const { argumentsPeriods } = await readRules(deps.storage.db, deps.argumentsDays);
  for (const days of argumentsPeriods) while (mayGoOn() && (await removeOld(deps, days)));
}

async function removeOld({ storage, recordChange, clock, argumentsDays, eraseUnheld }: OldBodies, days: number) {
  const cutoff = clock.now() - days * DAY_MS;
  return storage.transaction(async (transaction) => {
    const rules = await readRules(transaction, argumentsDays);
    const key = `${KEY}:${days}`;
    const stored = await transaction.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirst();
    const mark = JSON.parse(stored?.value ?? '[0,"",""]') as [number, string, string];
    const [at, action] = mark[2] === rules.version ? mark : [0, ''];
    const rows = await transaction
      .selectFrom('bodies')
      .select(['action_id', 'created_at'])
      .where('created_at', '<', cutoff)
      .where('body', 'is not', null)
      .where(({ eb, or, and }) =>
        or([eb('created_at', '>', at), and([eb('created_at', '=', at), eb('action_id', '>', action)])]),
      )
      .orderBy('created_at')
      .orderBy('action_id')
      .limit(limits.actionsAtOnce)
      .execute();
    const last = rows.at(-1);
    if (!last) return false;
    const ids = [...new Set(rows.map(({ action_id }) => action_id))];
    const records = await transaction
      .selectFrom('records')
      .select(['action_id', 'entry'])
      .where('action_id', 'in', ids)
      .execute();
    // Of an action's records the one that keeps its arguments longest counts.
    const longer = new Set<string>();
    for (const { action_id, entry } of records) {
      const record = recordOf(entry);
      if (record && record.kind !== 'change' && rules.argumentsDays(record) > days) longer.add(action_id);
    }
    const due = ids.filter((id) => !longer.has(id));
    const { erased, held } = await eraseUnheld(transaction, due);
    const value = JSON.stringify([last.created_at, last.action_id, rules.version]);
    await transaction
      .insertInto('meta')
      .values({ key, value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute();
    if (erased > 0)
      await recordChange(transaction, {
        operation: 'retention.remove',
        by: 'gatehouse',
        changes: [`arguments kept for ${days} days: ${erased} bodies removed, ${held} actions kept by a hold`],
      });
    return rows.length === limits.actionsAtOnce;
  });
}

/** A hold has ended: all is looked at again, bodies and records. */
export async function lookAgain(transaction: DatabaseTransaction): Promise<void> {
  await transaction.deleteFrom('meta').where('key', 'like', `${KEY}%`).execute();
  await transaction.deleteFrom('retention_marks').execute();
}
