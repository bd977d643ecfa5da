import type { LegalHold } from '@gatehouse/protocol';
import type { Database, DatabaseTransaction } from '../../storage/index.ts';
import { scopeFits } from './scope.ts';
import { recordOf } from './walk.ts';

export interface RecordOfAction {
  action_id: string;
  log: string;
  sequence: number;
  entry: string;
}

export const recordsOfActions = async (
  on: Database | DatabaseTransaction,
  actionIds: readonly string[],
): Promise<RecordOfAction[]> =>
  actionIds.length === 0
    ? []
    : on
        .selectFrom('records')
        .select(['action_id', 'log', 'sequence', 'entry'])
        .where('action_id', 'in', actionIds)
        .execute();

/** Actions that no hold keeps. One whose record can't be read is kept: nobody knows what it is about. */
export function unheldOf(
  actionIds: readonly string[],
  records: readonly RecordOfAction[],
  holds: readonly Pick<LegalHold, 'scope'>[],
): string[] {
  const held = new Set<string>();
  if (holds.length > 0)
    for (const { action_id, entry } of records) {
      const record = recordOf(entry);
      if (!record || holds.some(({ scope }) => scopeFits(scope, record))) held.add(action_id);
    }
  return actionIds.filter((id) => !held.has(id));
}
