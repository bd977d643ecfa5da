import { GatehouseError } from '../../platform/index.ts';
import type { DatabaseTransaction, Storage } from '../../storage/index.ts';
import { type BreakGlassRow, subjectIn, toBreakGlass } from './rows.ts';
import type { BreakGlassDependencies } from './types.ts';

export type Moves = ReturnType<typeof createMoves>;

/** Each move is recorded, announced and told in its transaction. */
export function createMoves({
  storage,
  registry,
  recordChange,
  clock,
  log,
  tell,
}: Pick<BreakGlassDependencies, 'storage' | 'registry' | 'recordChange' | 'clock' | 'log' | 'tell'>) {
  const show = (row: BreakGlassRow) => toBreakGlass(row, clock.now());

  async function rowOf(id: string, database: Storage['db'] | DatabaseTransaction = storage.db): Promise<BreakGlassRow> {
    const row = await database.selectFrom('break_glass').selectAll().where('id', '=', id).executeTakeFirst();
    if (!row) throw new GatehouseError('not-found', 'break-glass.unknown', `There is no break-glass request "${id}".`);
    return row;
  }

  /** Records a move, announces it, and tells people where they are. */
  async function moved(
    transaction: DatabaseTransaction,
    row: BreakGlassRow,
    operation: string,
    by: string,
    more: string[] = [],
  ) {
    const { incident, tools, reason } = subjectIn(row);
    await recordChange(transaction, {
      operation: `break-glass.${operation}`,
      by,
      agent: row.agent,
      task: row.task,
      approval: row.id,
      changes: [`BREAK-GLASS ${incident}: ${operation}`, `tools ${tools.join(', ')}`, `digest ${row.digest}`, ...more],
      detail: reason.slice(0, 500),
    });
    await storage.announce(transaction, 'approval', row.id, clock.now());
    await tell?.onBreakGlass?.(transaction, show(row));
    log.warn(`BREAK-GLASS ${operation}: ${incident}`, { breakGlass: row.id, agent: row.agent, task: row.task, by });
  }

  function settingsOf(environment: string) {
    const settings = registry.snapshot().environments.get(environment)?.breakGlass;
    if (settings === 'off')
      throw new GatehouseError(
        'forbidden',
        'break-glass.off',
        `In "${environment}" the glass is not broken: an operator has switched it off.`,
      );
    return settings;
  }

  return { show, rowOf, moved, settingsOf };
}
