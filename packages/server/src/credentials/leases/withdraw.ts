import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import type { EndedCredentials } from '@gatehouse/protocol';
import type { Clock, Log } from '../../platform/index.ts';
import type { Snapshot } from '../../registry/index.ts';
import type { Change, DatabaseTransaction, Guard, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import type { StandingOf } from './issued.ts';
import { createJudging, type JudgingDependencies, type Verdict } from './judge.ts';
import type { Bound } from './lifetime.ts';
import { leaseLimits } from './limits.ts';
import { about, type LeaseRow } from './rows.ts';
import { leaseProblem, sealedLease } from './seals.ts';
import { liveStates } from './types.ts';

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

/** What of the workspace has changed, as far as it decides what is issued. */
interface Moved {
  all: boolean;
  agents: Set<string>;
  people: Set<string>;
  servers: Set<string>;
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

const MAY_BE_USED = ['intended', ...liveStates] as const;

const byProvider = (counts: ReadonlyMap<string, number>): EndedCredentials['items'] =>
  [...counts].map(([provider, count]) => ({ provider, count })).sort((a, b) => (a.provider < b.provider ? -1 : 1));

const nothing = (): Moved => ({ all: false, agents: new Set(), people: new Set(), servers: new Set() });

/**
 * Ends what was issued by a permission that has been withdrawn since. Every replica does, each by the workspace as it shows it: what it ends rests on
 * that being so still, and is judged again where it is not.
 */
export function createWithdrawing(deps: WithdrawingDependencies): Withdrawing {
  const { storage, sealer, recordChange, clock, log } = deps;
  const judge = createJudging(deps);
  let moved = nothing();
  let judgedBy: number | undefined;
  let notBefore = 0;
  let running: Promise<void> | undefined;
  let closed = false;

  const policyOf = (snapshot: Snapshot) => snapshot.fences.get('policy') ?? 0;

  async function batchAfter(id: string, { all, agents, people, servers }: Moved): Promise<LeaseRow[]> {
    let query = storage.db
      .selectFrom('leases')
      .selectAll()
      .where('state', 'in', MAY_BE_USED)
      .where('id', '>', id)
      .orderBy('id')
      .limit(leaseLimits.judgedAtOnce);
    if (!all)
      query = query.where((where) =>
        where.or([
          ...(agents.size === 0
            ? []
            : [
                where('agent', 'in', [...agents]),
                where(
                  'task',
                  'in',
                  where
                    .selectFrom('task_actors')
                    .select('task_actors.task')
                    .where('agent', 'in', [...agents]),
                ),
              ]),
          ...(people.size === 0
            ? []
            : [
                where(
                  'task',
                  'in',
                  where
                    .selectFrom('tasks')
                    .select('tasks.id')
                    .where('user_email', 'in', [...people]),
                ),
              ]),
          ...(servers.size === 0
            ? []
            : [
                where(
                  'purpose',
                  'in',
                  [...servers].map((name) => `server:${name}`),
                ),
              ]),
        ]),
      );
    return query.execute();
  }

  /** Each with what has become of it, and lets others work in between. */
  async function judged(
    rows: readonly LeaseRow[],
    snapshot: Snapshot,
    standingOf: StandingOf,
  ): Promise<{ found: { row: LeaseRow; verdict: Verdict }[]; isWhole: boolean }> {
    const found = [];
    let isWhole = true;
    let since = performance.now();
    for (const row of rows) {
      // Changed in the database, it is another's to end: it says nothing of what it was issued as.
      if (leaseProblem(sealer, row) === null)
        try {
          found.push({ row, verdict: await judge(snapshot, row, standingOf) });
        } catch (error) {
          // It keeps no other from being judged.
          log.warn('a credential could not be judged again yet', { lease: row.id, error });
          isWhole = false;
        }
      if (performance.now() - since < leaseLimits.judgedTurnMs) continue;
      await turn();
      since = performance.now();
    }
    return { found, isWhole };
  }

  async function run(): Promise<void> {
    while (!closed && isMoved(moved)) {
      const what = moved;
      moved = nothing();
      try {
        await judgeAll(what);
      } catch (error) {
        later();
        throw error;
      }
    }
  }

  /** All are judged again before long: what was missed is not known. */
  function later(): void {
    judgedBy = undefined;
    notBefore = performance.now() + leaseLimits.judgedAgainMs;
  }

  async function judgeAll(what: Moved): Promise<void> {
    const by = policyOf(deps.snapshot());
    let [after, isWhole] = ['', true];
    for (let rows = await batchAfter(after, what); rows.length > 0 && !closed; rows = await batchAfter(after, what)) {
      after = rows.at(-1)?.id ?? '';
      const verdicts = await judged(rows, deps.snapshot(), deps.standingOf);
      isWhole &&= verdicts.isWhole;
      const changed = verdicts.found.filter(
        ({ row, verdict }) =>
          ('withdrawn' in verdict && !verdict.isStopped) ||
          ('endsAt' in verdict && deps.canEnd(row.provider, row.environment)),
      );
      if (changed.length > 0 && !(await write(changed))) isWhole = false;
      if (rows.length < leaseLimits.judgedAtOnce) break;
    }
    if (!isWhole) later();
    else if (what.all && !closed) judgedBy = by;
  }

  /** False where something that they were judged by has moved since. */
  async function write(changed: readonly { row: LeaseRow; verdict: Verdict }[]): Promise<boolean> {
    const guards = new Map<string, Guard>();
    for (const { verdict } of changed) for (const guard of verdict.guards) guards.set(guard.key, guard);
    const now = clock.now();
    return storage.transaction(async (transaction) => {
      const written = await storage.appendWithin(transaction, {
        ...{ guards: [...guards.values()], records: [], bodies: [] },
      });
      if (!written.ok) return false;
      const records = [];
      for (const { row, verdict } of changed) {
        const line =
          'withdrawn' in verdict
            ? await end(transaction, row, verdict.withdrawn, now)
            : 'endsAt' in verdict
              ? await shorten(transaction, row, { at: verdict.endsAt, why: verdict.why }, now)
              : undefined;
        if (line) records.push({ ...line, by: 'gatehouse', ...about(row) });
      }
      if (records.length > 0) await recordChange(transaction, ...records);
      return true;
    });
  }

  async function end(transaction: DatabaseTransaction, row: LeaseRow, why: string, now: number) {
    const reason = `${WITHDRAWN}${why}`;
    const { numUpdatedRows } = await transaction
      .updateTable('leases')
      .set({ state: 'revoking', revoking_at: now, next_try_at: now, reason, sealed_credential: null })
      .where('id', '=', row.id)
      .where('state', '=', row.state)
      .executeTakeFirst();
    if (numUpdatedRows !== 1n) return undefined;
    await storage.announce(transaction, 'lease', row.id, now);
    const changes = [`lease ${row.id} of ${row.provider} is being ended: ${reason}`];
    return { operation: 'lease.revoke', changes };
  }

  async function shorten(transaction: DatabaseTransaction, row: LeaseRow, bound: Bound, now: number) {
    const change = {
      expires_at: bound.at,
      clamped: JSON.stringify([...(JSON.parse(row.clamped) as string[]), bound.why]),
      bounds: JSON.stringify([...(JSON.parse(row.bounds) as Bound[]), bound]),
    };
    const { numUpdatedRows } = await transaction
      .updateTable('leases')
      .set({
        ...{ ...change, seal: sealedLease(sealer, { ...row, ...change }).seal },
        ...(row.state !== 'intended' && { next_try_at: bound.at }),
      })
      .where('id', '=', row.id)
      .where('state', '=', row.state)
      .where('expires_at', '=', row.expires_at)
      .where('extending_to', 'is', null)
      .executeTakeFirst();
    if (numUpdatedRows !== 1n) return undefined;
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
      if (judgedBy === policyOf(deps.snapshot()) || performance.now() < notBefore) return;
      moved.all = true;
      await start();
    },
    async foresee(snapshot, standingOf) {
      const ends = new Map<string, number>();
      let [after, seen, isWhole] = ['', 0, true];
      const all = { ...nothing(), all: true };
      for (let rows = await batchAfter(after, all); rows.length > 0 && !closed; rows = await batchAfter(after, all)) {
        after = rows.at(-1)?.id ?? '';
        const verdicts = await judged(rows, snapshot, standingOf);
        isWhole &&= verdicts.isWhole;
        for (const { row, verdict } of verdicts.found)
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
        () => notBefore < performance.now(),
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

const isMoved = ({ all, agents, people, servers }: Moved) => all || agents.size + people.size + servers.size > 0;

function note(moved: Moved, changes: readonly Change[]): void {
  for (const { topic, key } of changes) {
    if (topic === 'policy' || (topic === 'object' && key.startsWith('Blueprint/'))) moved.all = true;
    if (topic === 'agent') moved.agents.add(key);
    if (topic === 'definition') moved.servers.add(key);
    if (topic === 'object' && key.startsWith('Person/')) moved.people.add(key.slice('Person/'.length));
  }
  // More names than one question takes: then all are looked at.
  if (moved.agents.size + moved.people.size + moved.servers.size > MOST_NAMES) moved.all = true;
}

const MOST_NAMES = 200;
