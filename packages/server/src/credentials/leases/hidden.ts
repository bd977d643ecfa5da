import { type Clock, digestJson, type Log } from '../../platform/index.ts';
import { lackedKey, type RecordChange, type Storage } from '../../storage/index.ts';
import type { Place } from './book.ts';
import type { RecordedIssue } from './issue-record.ts';
import { leaseLimits } from './limits.ts';
import { type PuttingBackDependencies, putBack, recordedIssue } from './put-back.ts';
import { isQuiet } from './quiet.ts';
import { about, type LeaseRow, openRevocation } from './rows.ts';
import { isLive } from './types.ts';

export interface UncoveringDependencies extends PuttingBackDependencies {
  storage: Storage;
  recordChange: RecordChange;
  clock: Clock;
  log: Log;
}

export const isOver = (state: string) => state === 'revoked' || state === 'dropped';
const isBeingEnded = (state: string) => state === 'revoking' || state === 'stuck';

/** What this replica has made, with what ending it takes, as long as it is not over. */
export interface Kept {
  row: LeaseRow;
  /** Of what ending it takes, which is sealed anew with another key. */
  digest: string;
}

const HIDDEN = 'somebody hid it in the database';

interface Fault {
  why: string;
  /** Also clocks that differ do it. */
  isOurs?: true;
}

/** `lacked`: it is sealed with this key, which this replica does not hold. Another one judges it. */
export type Uncovered = 'mended' | { lacked: string } | undefined;

/**
 * What was issued and not ended has a row that has it ended: one that does not is mended, on record. Its provider is asked for it then, so that
 * nothing is ended that is not there.
 */
export function createUncovering(deps: UncoveringDependencies) {
  const { storage, sealer, recordChange, clock, log } = deps;
  const kept = new Map<string, Kept>();

  function contentOf(row: LeaseRow): string | undefined {
    try {
      return digestJson(openRevocation(row, sealer));
    } catch {
      return undefined;
    }
  }

  /** What keeps it from being ended, or null. */
  function faultOf(id: string, row: LeaseRow | undefined): Fault | null {
    if (!row) return { why: 'its row was removed' };
    const { state } = row;
    if (isOver(state)) return isQuiet(sealer, row) ? null : { why: `it was made ${state}` };
    if (state !== 'intended' && !isLive(state) && !isBeingEnded(state))
      return { why: `it was made “${state.slice(0, 40)}”` };
    const content = contentOf(row);
    if (content === undefined) return { why: 'what ending it takes was changed' };
    const digest = kept.get(id)?.digest;
    if (digest !== undefined && digest !== content)
      return { why: 'what ending it takes was put back to what it was before' };
    const putOffMs = row.next_try_at === null ? Number.POSITIVE_INFINITY : row.next_try_at - clock.now();
    if (!isBeingEnded(state) || putOffMs <= leaseLimits.unlookedMs || isQuiet(sealer, row)) return null;
    return { why: 'it was put off', ...(putOffMs <= leaseLimits.putOffMs && { isOurs: true }) };
  }

  function mended(id: string, row: LeaseRow | undefined, issue: RecordedIssue | undefined): LeaseRow {
    const now = clock.now();
    const known = kept.get(id);
    const content = row && contentOf(row);
    const isWhole = row && content !== undefined && (known?.digest ?? content) === content;
    // Why it is being ended, and what was in the way, is known already.
    if (isWhole && isBeingEnded(row.state)) return { ...row, next_try_at: now, reason: row.reason ?? HIDDEN };
    const ending = {
      ...{ state: 'revoking', revoking_at: now, next_try_at: now, attempts: 0, sealed_credential: null },
      ...{ revoked_at: null, dropped_by: null, dropped_at: null, reason: HIDDEN, problem: null },
    };
    if (isWhole) return { ...row, ...ending, ...openRevocation(row, sealer).issued, created_at: row.created_at ?? now };
    const back = known
      ? {
          ...known.row,
          created_at: known.row.created_at ?? now,
          expires_at: known.row.intended_at + leaseLimits.maxSeconds * 1_000,
        }
      : putBack(deps, id, issue, now);
    return { ...back, ...ending, holder: `${back.holder} ${id}`, idempotency_key: null, seal: null };
  }

  /** One of which somebody has seen that it is not as the record has it. Looked at again, for it may have been in the midst of something. */
  async function uncover(id: string, place: Place | null): Promise<Uncovered> {
    const issue = kept.has(id) ? undefined : await recordedIssue(storage, id, place);
    const found = await storage.transaction(async (transaction) => {
      const row = await transaction.selectFrom('leases').selectAll().where('id', '=', id).executeTakeFirst();
      const fault = faultOf(id, row);
      if (fault === null) return undefined;
      const lacked =
        row && (await lackedKey(storage, transaction, sealer, clock.now(), row.seal, row.sealed_revocation));
      if (lacked !== undefined) return { lacked };
      const { why: problem, isOurs } = fault;
      const next = row && isOurs ? { ...row, next_try_at: clock.now() } : mended(id, row, issue);
      const { id: _, ...columns } = next;
      const written = row
        ? await transaction
            .updateTable('leases')
            .set(columns)
            .where('id', '=', id)
            .where('state', '=', row.state)
            .returning('id')
            .executeTakeFirst()
        : await transaction
            .insertInto('leases')
            .values(next)
            .onConflict((conflict) => conflict.doNothing())
            .returning('id')
            .executeTakeFirst();
      // Another replica was first.
      if (!written) return undefined;
      const told = { lease: id, provider: next.provider, problem };
      if (isOurs) return { told, isAlarm: false };
      const whose = about(next);
      const what = `lease ${id} of ${next.provider}`;
      await recordChange(
        transaction,
        {
          ...{ operation: 'seal.broken', by: 'gatehouse', ...whose },
          changes: [`${what} was hidden in the database (${problem})`, ...(row ? [] : ['its row is put back'])],
        },
        ...(next.reason === HIDDEN
          ? [
              {
                ...{ operation: 'lease.revoke', by: 'gatehouse', ...whose },
                changes: [`${what} is being ended: ${HIDDEN}`],
              },
            ]
          : []),
      );
      await storage.announce(transaction, 'lease', id, clock.now());
      return { told, isAlarm: true };
    });
    if (!found) return undefined;
    if (found.lacked !== undefined) return { lacked: found.lacked };
    const { told, isAlarm } = found;
    if (isAlarm) log.error('ALARM: a credential was hidden in the database, and is ended', told);
    else log.warn('a credential was to be ended late, by a clock that differs, and is tried now', told);
    return 'mended';
  }

  return {
    faultOf,
    uncover,
    /** Forgotten when it is over. */
    keep(row: LeaseRow): void {
      const digest = contentOf(row);
      if (digest === undefined) return;
      kept.set(row.id, { row: { ...row, sealed_credential: null }, digest });
      const [oldest] = kept.keys();
      if (kept.size > leaseLimits.keptAtMost && oldest !== undefined) kept.delete(oldest);
    },
    isKept: (id: string) => kept.has(id),
    keptIds: () => kept.keys(),
    forget: (id: string) => kept.delete(id),
  };
}

export type Uncovering = ReturnType<typeof createUncovering>;
