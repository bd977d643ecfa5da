import { GatehouseError } from '../platform/index.ts';
import type { AdministrativeChange, DatabaseTransaction } from '../storage/index.ts';
import { about, rowOf } from './asked.ts';
import { type ApprovalRow, toApproval } from './rows.ts';
import type { ApprovalsDependencies } from './types.ts';

/** Whoever works on the server's host may stop things there; a yes is for people with passkeys. */
export const OPERATOR = 'operator';
export const actor = (person: string) => (person === OPERATOR ? OPERATOR : `person:${person}`);

export type Moves = ReturnType<typeof createMoves>;

/** Each move of an approval is recorded and announced in its transaction; what is refused is recorded with who tried. */
export function createMoves({
  storage,
  recordChange,
  onEnded,
  tell,
  clock,
  log,
}: Pick<ApprovalsDependencies, 'storage' | 'recordChange' | 'onEnded' | 'tell' | 'clock' | 'log'>) {
  async function recordMove(
    transaction: DatabaseTransaction,
    row: ApprovalRow,
    operation: string,
    by: string,
    more: Pick<AdministrativeChange, 'detail'> & { changes?: string[] } = {},
  ): Promise<void> {
    await recordChange(transaction, {
      ...about(row),
      operation,
      by,
      changes: [`approval ${row.state}`, `digest ${row.digest}`, ...(more.changes ?? [])],
      ...(more.detail && { detail: more.detail }),
    });
    if (['denied', 'expired', 'cancelled'].includes(row.state)) await onEnded?.(transaction, row.id);
    if (row.state !== 'pending') await tell?.onDecided?.(transaction, toApproval(row, [], clock.now()));
    await storage.announce(transaction, 'approval', row.id, clock.now());
  }

  /** Runs the move; when it is refused, records by whom it was tried before passing the refusal on. */
  async function recorded<T>(move: string, id: string, person: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await recordRefusal(move, id, person, error);
      throw error;
    }
  }

  async function recordRefusal(move: string, id: string, person: string, error: unknown): Promise<void> {
    if (!(error instanceof GatehouseError) || error.status >= 500) return;
    try {
      await storage.transaction(async (transaction) => {
        const row = await rowOf(transaction, id);
        if (!row) return;
        await recordChange(transaction, {
          ...about(row),
          operation: `${move}.refuse`,
          by: actor(person),
          changes: [],
          detail: `${error.code}: ${error.message}`,
        });
      });
    } catch (cause) {
      log.error('a refused approval could not be recorded; it stays refused', { approval: id, person, error: cause });
    }
  }

  return { recordMove, recorded, recordRefusal };
}
