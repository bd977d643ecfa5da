import type { ActionRecord, KeepingScope } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import type { Database, DatabaseTransaction } from '../../storage/index.ts';
import { keepingLimits as limits } from './limits.ts';
import { scopeFits } from './scope.ts';

/** How many records each log has. */
export type Bounds = Record<string, number>;

/** The next record to be looked at. */
export interface Place {
  log: string;
  sequence: number;
}

export async function boundsNow(transaction: Database | DatabaseTransaction): Promise<Bounds> {
  const bounds: Bounds = {};
  for (const { id } of await transaction.selectFrom('logs').select('id').execute()) {
    const row = await transaction
      .selectFrom('records')
      .select('sequence')
      .where('log', '=', id)
      .orderBy('sequence', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (row) bounds[id] = Number(row.sequence) + 1;
  }
  return bounds;
}

/**
 * The next actions of a scope within the bounds, over the records themselves: an index may lag, or be made anew. `next`: where to go on, or
 * null at the end.
 */
export async function walk(
  db: Database | DatabaseTransaction,
  scope: KeepingScope,
  bounds: Bounds,
  from: Place | null,
): Promise<{ actionIds: string[]; next: Place | null }> {
  const logs = Object.keys(bounds).sort();
  const log = from?.log ?? logs[0];
  if (log === undefined) return { actionIds: [], next: null };
  const [first, size] = [from?.sequence ?? 0, bounds[log] ?? 0];
  const rows = await db
    .selectFrom('records')
    .select(['sequence', 'entry'])
    .where('log', '=', log)
    .where('sequence', '>=', first)
    .where('sequence', '<', Math.min(size, first + limits.recordsAtOnce))
    .orderBy('sequence')
    .execute();
  const found = new Set<string>();
  let end = Math.min(size, first + limits.recordsAtOnce);
  for (const { sequence, entry } of rows) {
    const record = recordOf(entry);
    if (record && scopeFits(scope, record)) found.add(record.action_id);
    if (found.size < limits.actionsAtOnce) continue;
    end = Number(sequence) + 1;
    break;
  }
  const after = logs.find((each) => each > log);
  const beyond = after === undefined ? null : { log: after, sequence: 0 };
  return { actionIds: [...found], next: end < size ? { log, sequence: end } : beyond };
}

/** The next actions that an erasure is about. */
export const nextActions = async (
  db: Database | DatabaseTransaction,
  scope: KeepingScope,
  bounds: Bounds,
  from: Place | null,
): ReturnType<typeof walk> =>
  scope.action === undefined ? walk(db, scope, bounds, from) : { actionIds: [scope.action], next: null };

const PLACE = /^(\d{1,15})@(.{1,200})$/;
/** As whoever goes on is given it. */
export const placeWords = ({ log, sequence }: Place) => `${sequence}@${log}`;

export function parsePlace(text: string): Place {
  const [, sequence, log] = PLACE.exec(text) ?? [];
  if (sequence === undefined || log === undefined)
    throw new GatehouseError(
      'bad-request',
      'cursor.malformed',
      'The cursor is not one that this API gave out. Begin again without it.',
    );
  return { log, sequence: Number(sequence) };
}

/** An entry that can't be read names no action. That something is wrong with it is for the verification of the log to say. */
export function recordOf(entry: string): ActionRecord | null {
  try {
    return JSON.parse(entry) as ActionRecord;
  } catch {
    return null;
  }
}
