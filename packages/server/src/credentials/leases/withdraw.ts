import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import type { EndedCredentials } from '@gatehouse/protocol';
import type { Clock, Log } from '../../platform/index.ts';
import type { Snapshot } from '../../registry/index.ts';
import type { Change, DatabaseTransaction, Guard, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import type { StandingOf } from './issued.ts';
import { createJudging, type JudgingDependencies, type Verdict } from './judge.ts';
import type { Bound } from './lifetime.ts';
import { leaseLimits } from './limits.ts';
import { add, concerned, isMoved, MAY_BE_USED, type Moved, note, nothing } from './moved.ts';
import { about, type LeaseRow } from './rows.ts';
import { leaseProblem, sealedLease } from './seals.ts';

export interface WithdrawingDependencies extends JudgingDependencies {
  storage: Storage;
  sealer: Sealer;
  snapshot(): Snapshot;
  standingOf: StandingOf;
  /** Whether its provider ends one before its time. */
  canEnd(provider: string, environment: string): boolean;
  recordChange: RecordChange;
  clock: Clock;
  log: Log;
}

export interface Withdrawing {
  /** Judges again what these changes concern. */
  moved(changes: readonly Change[]): void;
  /** The same with all, where the policies are others than those that were judged by. */
  catchUp(): Promise<void>;
  /** How many of each provider a workspace like this would end. `isWhole`: false where there are more than were looked at. */
  foresee(snapshot: Snapshot, standingOf: StandingOf): Promise<EndedCredentials>;
  /** What has come of a change that was made then and has been heard of here; `retired`: agents that it has ended. Waits for seconds at most. */
  endedSince(at: number, retired: readonly string[]): Promise<EndedCredentials>;
  close(): Promise<void>;
}

const byProvider = (counts: ReadonlyMap<string, number>): EndedCredentials['items'] =>
  [...counts].map(([provider, count]) => ({ provider, count })).sort((a, b) => (a.provider < b.provider ? -1 : 1));

interface Judged {
  row: LeaseRow;
  verdict: Verdict;
}

/**
 * Ends what was issued by a permission that has been withdrawn since. Every replica does, each by the workspace as it shows it: what it ends rests on
 * that being so still, and is judged again where it is not.
 */
export function createWithdrawing(deps: WithdrawingDependencies): Withdrawing {
  const { storage, sealer, recordChange, clock, log } = deps;
  const judge = createJudging(deps);
  let moved = nothing();
  /** What is to be judged once more, and not before then. */
  let again = nothing();
  let notBefore = 0;
  /** The policies that all were judged by last, and are being judged by. */
  let judgedBy: number | undefined;
  let judgingBy: number | undefined;
  let running: Promise<void> | undefined;
  let closed = false;

  const policyOf = (snapshot: Snapshot) => snapshot.fences.get('policy') ?? 0;

  /** Each with what has become of it, and lets others work in between. `missed`: of which nobody can say it yet. */
  async function judged(
    rows: readonly LeaseRow[],
    snapshot: Snapshot,
    standingOf: StandingOf,
  ): Promise<{ found: Judged[]; missed: string[] }> {
    const found: Judged[] = [];
    const missed: string[] = [];
    let problem: unknown;
    let since = performance.now();
    for (const row of rows) {
      // Changed in the database, it is another's to end: it says nothing of what it was issued as.
      if (leaseProblem(sealer, row) === null)
        try {
          found.push({ row, verdict: await judge(snapshot, row, standingOf) });
        } catch (error) {
          // It keeps no other from being judged.
          missed.push(row.id);
          problem ??= error;
        }
      if (performance.now() - since < leaseLimits.judgedTurnMs) continue;
      await turn();
      since = performance.now();
    }
    if (missed.length > 0) log.warn('credentials could not be judged again yet', { leases: missed, error: problem });
    return { found, missed };
  }

  async function run(): Promise<void> {
    while (!closed && isMoved(moved)) {
      const what = moved;
      moved = nothing();
      try {
        await judgeAll(what);
      } catch (error) {
        later(what);
        throw error;
      } finally {
        judgingBy = undefined;
      }
    }
  }

  function later(what: Moved): void {
    if (!isMoved(what)) return;
    if (!isMoved(again)) notBefore = performance.now() + leaseLimits.judgedAgainMs;
    add(again, what);
  }

  async function judgeAll(what: Moved): Promise<void> {
    const by = policyOf(deps.snapshot());
    if (what.all) judgingBy = by;
    for (let after = ''; !closed; ) {
      const rows = await concerned(storage.db, what, after);
      after = rows.at(-1)?.id ?? '';
      const { found, missed } = await judged(rows, deps.snapshot(), deps.standingOf);
      const changed = found.filter(
        ({ row, verdict }) =>
          ('withdrawn' in verdict && !verdict.isStopped) ||
          ('endsAt' in verdict && deps.canEnd(row.provider, row.environment)),
      );
      later({ ...nothing(), leases: new Set([...missed, ...(await write(changed))]) });
      if (rows.length < leaseLimits.judgedAtOnce) break;
    }
    if (what.all && !closed) judgedBy = by;
  }

  /** Gives the ids of those that are others by now, or of which something has moved that they were judged by. */
  async function write(changed: readonly Judged[]): Promise<string[]> {
    const missed: string[] = [];
    for (let left = changed; left.length > 0; ) {
      const written = await writeTogether(left);
      if ('missed' in written) return [...missed, ...written.missed];
      const rests = ({ verdict }: Judged) => verdict.guards.some(({ key }) => key === written.moved);
      missed.push(...left.filter(rests).map(({ row }) => row.id));
      left = left.filter((each) => !rests(each));
    }
    return missed;
  }

  async function writeTogether(changed: readonly Judged[]): Promise<{ moved: string } | { missed: string[] }> {
    const guards = new Map<string, Guard>();
    for (const { verdict } of changed) for (const guard of verdict.guards) guards.set(guard.key, guard);
    const now = clock.now();
    return storage.transaction(async (transaction) => {
      const written = await storage.appendWithin(transaction, {
        ...{ guards: [...guards.values()], records: [], bodies: [] },
      });
      if (!written.ok) {
        if (written.failed !== 'guard') throw new Error(`nothing but guards were asked for: ${written.failed}`);
        return { moved: written.key };
      }
      const records = [];
      const missed: string[] = [];
      for (const { row, verdict } of changed) {
        const line =
          'withdrawn' in verdict
            ? await end(transaction, row, verdict.withdrawn, now)
            : 'endsAt' in verdict
              ? await shorten(transaction, row, { at: verdict.endsAt, why: verdict.why }, now)
              : undefined;
        if (line === 'missed') missed.push(row.id);
        else if (line) records.push({ ...line, by: 'gatehouse', ...about(row) });
      }
      if (records.length > 0) await recordChange(transaction, ...records);
      return { missed };
    });
  }

  async function end(transaction: DatabaseTransaction, row: LeaseRow, why: string, now: number) {
    const reason = `${WITHDRAWN}${why}`;
    const { numUpdatedRows } = await transaction
      .updateTable('leases')
      .set({ state: 'revoking', revoking_at: now, next_try_at: now, reason, sealed_credential: null })
      .where('id', '=', row.id)
      // Given to somebody meanwhile it is withdrawn no less.
      .where('state', 'in', MAY_BE_USED)
      .executeTakeFirst();
    if (numUpdatedRows !== 1n) return undefined;
    await storage.announce(transaction, 'lease', row.id, now);
    const changes = [`lease ${row.id} of ${row.provider} is being ended: ${reason}`];
    return { operation: 'lease.revoke', changes };
  }

  async function shorten(transaction: DatabaseTransaction, row: LeaseRow, bound: Bound, now: number) {
    // Whoever makes it writes its end, and seals that.
    if (row.state === 'intended') return 'missed';
    const change = {
      expires_at: bound.at,
      clamped: JSON.stringify([...(JSON.parse(row.clamped) as string[]), bound.why]),
      bounds: JSON.stringify([...(JSON.parse(row.bounds) as Bound[]), bound]),
    };
    const { numUpdatedRows } = await transaction
      .updateTable('leases')
      .set({
        ...{ ...change, seal: sealedLease(sealer, { ...row, ...change }).seal, next_try_at: bound.at },
      })
      .where('id', '=', row.id)
      .where('state', '=', row.state)
      .where('expires_at', '=', row.expires_at)
      .where('extending_to', 'is', null)
      .executeTakeFirst();
    if (numUpdatedRows !== 1n) {
      const longer = await transaction
        .selectFrom('leases')
        .select('id')
        .where('id', '=', row.id)
        .where('state', 'in', MAY_BE_USED)
        .where('expires_at', '>', bound.at)
        .executeTakeFirst();
      return longer && 'missed';
    }
    await storage.announce(transaction, 'renewal', row.id, now);
    const changes = [
      `lease ${row.id} of ${row.provider} ends at ${new Date(bound.at).toISOString()} already, as ${bound.why}`,
    ];
    return { operation: 'lease.shorten', changes };
  }

  function start(): Promise<void> {
    running ??= run().finally(() => {
      running = undefined;
    });
    return running;
  }

  return {
    moved(changes) {
      note(moved, changes);
      if (isMoved(moved)) start().catch((error) => log.error('credentials could not be judged again', { error }));
    },
    async catchUp() {
      if (performance.now() >= notBefore) {
        add(moved, again);
        again = nothing();
      }
      const policy = policyOf(deps.snapshot());
      if (judgedBy !== policy && judgingBy !== policy && !again.all) moved.all = true;
      if (isMoved(moved)) await start();
    },
    async foresee(snapshot, standingOf) {
      const ends = new Map<string, number>();
      let [after, seen, isWhole] = ['', 0, true];
      const all = { ...nothing(), all: true };
      while (!closed) {
        const rows = await concerned(storage.db, all, after);
        after = rows.at(-1)?.id ?? '';
        const { found, missed } = await judged(rows, snapshot, standingOf);
        isWhole &&= missed.length === 0;
        for (const { row, verdict } of found)
          if ('withdrawn' in verdict) ends.set(row.provider, (ends.get(row.provider) ?? 0) + 1);
        seen += rows.length;
        if (rows.length < leaseLimits.judgedAtOnce) break;
        if (seen >= leaseLimits.foreseenMost) return { items: byProvider(ends), isWhole: false };
      }
      return { items: byProvider(ends), isWhole };
    },
    async endedSince(at, retired) {
      // The change is made, whatever becomes of this.
      const judged = start().then(
        () => !isMoved(again),
        () => false,
      );
      const isWhole = await Promise.race([judged, delay(leaseLimits.judgedWaitMs, false, { ref: false })]);
      const rows = await storage.db
        .selectFrom('leases')
        .select(['provider', (select) => select.fn.countAll<number>().as('count')])
        .where((where) =>
          where.or([
            where.and([where('revoking_at', '>=', at), where('reason', 'like', `${WITHDRAWN}%`)]),
            ...(retired.length === 0
              ? []
              : [
                  where.and([
                    where('agent', 'in', [...retired]),
                    where.or([where('revoking_at', '>=', at), where('state', 'in', MAY_BE_USED)]),
                  ]),
                ]),
          ]),
        )
        .groupBy('provider')
        .execute();
      return { items: byProvider(new Map(rows.map(({ provider, count }) => [provider, Number(count)]))), isWhole };
    },
    async close() {
      closed = true;
      await running?.catch(() => undefined);
    },
  };
}

/** How the reason of each begins. */
export const WITHDRAWN = 'its permission was withdrawn: ';
