import {
  RETENTION_MINIMUM_DAYS,
  type RecordRemoval,
  type RetentionView,
  retentionStatement,
  type SecondYesStatement,
} from '@gatehouse/protocol';
import type { SecondYes } from '../../identity/index.ts';
import { GatehouseError, newId } from '../../platform/index.ts';
import type { Tables } from '../../storage/index.ts';
import { keepingLimits as limits } from './limits.ts';
import { createFinding, type RetentionDependencies } from './retention-find.ts';
import { createRecordReader } from './retention-record.ts';
import { createRemoving, liveReplicas } from './retention-remove.ts';
import { type RetentionRule, type RetentionRules, readRules } from './retention-rules.ts';
import { unitsOf } from './retention-units.ts';

/**
 * Whole records go by class (kind: Retention). Their content goes, and what is left is their leaf hash: the tree, its checkpoints and every
 * proof of other records stay as they were. Errors: `retention.unknown`, `retention.not-below`, `retention.not-agreed`, `second-yes.own`.
 */
export interface Retention {
  view(): Promise<RetentionView>;
  /** What whoever agrees to a class below the minimum signs. */
  asked(name: string): Promise<SecondYesStatement>;
  /** That a class may keep less than the minimum; by somebody else than who applied it. */
  agree(name: string, said: SecondYes): Promise<RetentionView>;
  /** Takes back what anybody has agreed to for a class; to keep for longer needs nobody else. */
  withdraw(name: string, by: string): Promise<RetentionView>;
  /** What was removed of these records of a log, after the removal named, in order; a page of it. */
  removalsOf(log: string, first: number, end: number, after?: string): Promise<RecordRemoval[]>;
  /** Which records say of removals what was kept of them after all. */
  keepsOf(removals: string[]): Promise<{ log: string; sequence: number }[]>;
  /** Where anything was removed at all: what is not there may have been. */
  hasRemoved(): Promise<boolean>;
  /** One turn of what runs in the background: it goes on where any replica has stopped. */
  work(): Promise<void>;
}

const TURN_KEY = 'retention:turn';

export function createRetention(deps: RetentionDependencies): Retention {
  const { storage, recordChange, clock } = deps;
  const { db } = storage;
  const finding = createFinding(deps);
  const removing = createRemoving(deps);
  const recorded = createRecordReader(storage, clock, deps.ownLog);
  let problem: string | null = null;

  /** This replica's own, and, for the first that lives, those of replicas that are gone. */
  async function logsToWalk(): Promise<string[]> {
    const logs = await db.selectFrom('logs').select(['id', 'replica']).orderBy('id').execute();
    const live = await liveReplicas(db, clock.now());
    const isFirst = live.length === 0 || live[0] === deps.replica;
    return logs
      .filter(({ replica }) => replica === deps.replica || (isFirst && !live.includes(replica)))
      .map(({ id }) => id);
  }

  const turns = () => {
    let left = limits.batchesOfTurn;
    return () => left-- > 0;
  };

  async function work(): Promise<void> {
    const mayGoOn = turns();
    // An index that does not answer keeps back nothing else.
    try {
      while (mayGoOn() && (await removing.unindexNext()));
    } finally {
      await removeDue(mayGoOn);
    }
    while (mayGoOn() && (await removing.unindexNext()));
  }

  async function removeDue(mayGoOn: () => boolean): Promise<void> {
    if ((await pausedUntil()) !== null) return;
    const mayBeDue =
      (await readRules(db, deps.argumentsDays)).recordsPeriods.length > 0 ||
      (await db.selectFrom('removals').select('id').where('removed_at', 'is', null).limit(1).executeTakeFirst());
    if (!mayBeDue) return;
    problem = await deps.clockDoubt();
    if (problem !== null) return;
    const onRecord = await recorded.read();
    problem = 'problem' in onRecord ? onRecord.problem : null;
    if ('problem' in onRecord) return;
    const rules = await readRules(db, deps.argumentsDays, onRecord);
    problem = rules.problem;
    if (problem !== null) return;
    while (mayGoOn() && (await removing.removeNext(onRecord)));
    for (const log of await logsToWalk())
      for (const days of rules.recordsPeriods)
        while (mayGoOn() && (await finding.recordNext(rules, onRecord, log, days)));
  }

  /**
   * A clock that leaps takes young records for old ones, and what is removed does not come back: after a leap nothing goes for a day, so
   * that somebody can put it back. Replicas share when they last looked, so that a wrong clock among right ones removes nothing.
   */
  async function pausedUntil(): Promise<number | null> {
    const now = clock.now();
    const [last, until] = await lastTurn();
    const hasLeapt = last > 0 && now > last + limits.clockLeapMs;
    const next = hasLeapt ? now + limits.pauseAfterLeapMs : now < last - limits.clockLeapMs || until <= now ? 0 : until;
    if (next !== until || Math.abs(now - last) > limits.clockNotedMs)
      await storage.transaction(async (transaction) => {
        const value = JSON.stringify([now, next]);
        await transaction
          .insertInto('meta')
          .values({ key: TURN_KEY, value })
          .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
          .execute();
      });
    return next === 0 ? null : next;
  }

  async function lastTurn(): Promise<[last: number, until: number]> {
    const row = await db.selectFrom('meta').select('value').where('key', '=', TURN_KEY).executeTakeFirst();
    return JSON.parse(row?.value ?? '[0,0]') as [number, number];
  }

  /** A dry run over the oldest records that have not been looked at. */
  async function next(rules: Awaited<ReturnType<typeof readRules>>): Promise<RetentionView['next']> {
    const counted = { due: 0, held: 0, needed: 0, of: 0, complete: true };
    const seen = new Set<string>();
    const waitsFor = new Set<string>();
    for (const { id: log } of await db.selectFrom('logs').select('id').orderBy('id').execute())
      for (const days of rules.recordsPeriods) {
        const { sequence } = await finding.markOf(log, days, rules.marks);
        const found = await finding.candidates(rules, log, days, sequence);
        const { actionIds, isEnd = true } = found;
        for (const sink of found.waitsFor ?? []) waitsFor.add(sink);
        counted.complete &&= isEnd;
        for (const { rows, verdict } of await unitsOf(db, rules, actionIds, clock.now())) {
          const fresh = rows.filter(({ log: of, sequence }) => !seen.has(`${of} ${sequence}`));
          for (const { log: of, sequence } of fresh) seen.add(`${of} ${sequence}`);
          counted.of += fresh.length;
          if (verdict === 'goes') counted.due += fresh.length;
          else if (verdict === 'held') counted.held += fresh.length;
          else if (verdict === 'needed') counted.needed += fresh.length;
        }
      }
    return { ...counted, waitsFor: [...waitsFor].sort() };
  }

  async function view(): Promise<RetentionView> {
    const rules = await readRules(db, deps.argumentsDays);
    const recent = await db
      .selectFrom('removals')
      .selectAll()
      .orderBy('id', 'desc')
      .limit(limits.removalsShown)
      .execute();
    const done = await db
      .selectFrom('removals')
      .where('removed_at', 'is not', null)
      .select(({ fn }) => [
        fn.sum<number>('records').as('records'),
        fn.sum<number>('kept').as('kept'),
        fn.min<number>('removed_at').as('oldest'),
        fn.max<number>('removed_at').as('newest'),
      ])
      .executeTakeFirstOrThrow();
    const open = await db
      .selectFrom('removals')
      .where('removed_at', 'is', null)
      .select(({ fn }) => fn.sum<number>('records').as('records'))
      .executeTakeFirstOrThrow();
    const orNull = (at: number | null) => (at === null ? null : Number(at));
    return {
      classes: rules.rules.map(toClass),
      version: rules.version,
      minimumDays: RETENTION_MINIMUM_DAYS,
      defaultArgumentsDays: deps.argumentsDays,
      removed: {
        records: Number(done.records ?? 0) - Number(done.kept ?? 0),
        oldest: orNull(done.oldest),
        newest: orNull(done.newest),
      },
      next: await next(rules),
      underWay: Number(open.records ?? 0),
      pausedUntil: (await lastTurn())[1] || null,
      problem,
      removals: recent.map(toRemoval),
    };
  }

  return {
    view,
    work,
    async removalsOf(log, first, end, after = '') {
      const rows = await db
        .selectFrom('removals')
        .selectAll()
        .where('log', '=', log)
        .where('last', '>=', first)
        .where('first', '<', end)
        .where('removed_at', 'is not', null)
        .where('id', '>', after)
        .orderBy('id')
        .limit(limits.removalsShown)
        .execute();
      return rows.map(toRemoval);
    },
    async keepsOf(removals) {
      if (removals.length === 0) return [];
      return db
        .selectFrom('records')
        .select(['log', 'sequence'])
        .where('action_id', 'in', removals)
        .where('operation', '=', 'retention.keep')
        .execute();
    },
    async hasRemoved() {
      const one = await db.selectFrom('removals').select('id').where('removed_at', 'is not', null).limit(1);
      return (await one.executeTakeFirst()) !== undefined;
    },
    asked: async (name) => belowIn(await readRules(db, deps.argumentsDays), name).statement,
    async agree(name, said) {
      await storage.transaction(async (transaction) => {
        const { rule, statement } = belowIn(await readRules(transaction, deps.argumentsDays), name);
        const { by } = said;
        if (rule.agreedBy.includes(by)) return;
        const yes = await said.to(transaction, statement, rule.agreedBy);
        const at = clock.now();
        const id = newId('rag', at);
        await transaction
          .insertInto('retention_agreements')
          .values({ class: name, digest: rule.digest, person: by, at, id })
          .execute();
        await recordChange(transaction, {
          operation: 'retention.agree',
          by,
          action: id,
          changes: [
            `${name} keeps records for ${statement.records} days, fewer than ${RETENTION_MINIMUM_DAYS}`,
            rule.digest,
            yes,
          ],
          detail: statement.reason,
        });
      });
      return view();
    },
    async withdraw(name, by) {
      await storage.transaction(async (transaction) => {
        const given = await transaction
          .selectFrom('retention_agreements')
          .select(['id', 'person'])
          .where('class', '=', name)
          .execute();
        if (given.length === 0)
          throw new GatehouseError('conflict', 'retention.not-agreed', `Nobody has agreed to "${name}".`);
        await transaction.deleteFrom('retention_agreements').where('class', '=', name).execute();
        const words = `${name} keeps records for ${RETENTION_MINIMUM_DAYS} days at least`;
        for (const { id, person } of given)
          await recordChange(transaction, {
            ...{ operation: 'retention.withdraw', by, action: id },
            changes: [`${words}: what ${person} agreed to is withdrawn`],
          });
      });
      return view();
    },
  };
}

function toClass({ manifest, agreed, appliedBy, agreedBy, digest }: RetentionRule): RetentionView['classes'][number] {
  const { name, of, published, arguments: args = null, records = null, belowMinimum: reason } = manifest;
  const belowMinimum = reason === undefined ? null : { reason, agreed, appliedBy, agreedBy, digest };
  return { name, of, published, arguments: args, records, belowMinimum };
}

/** One that keeps less than the minimum, and what agreeing to it says. */
function belowIn({ rules }: RetentionRules, name: string) {
  const rule = rules.find(({ manifest }) => manifest.name === name);
  if (!rule) throw new GatehouseError('not-found', 'retention.unknown', `There is no class "${name}".`);
  const statement = retentionStatement(toClass(rule));
  if (statement) return { rule, statement };
  throw new GatehouseError(
    'conflict',
    'retention.not-below',
    `"${name}" keeps records for ${RETENTION_MINIMUM_DAYS} days at least: nobody has to agree.`,
  );
}

function toRemoval(row: Tables['removals']): RecordRemoval {
  return {
    ...{ id: row.id, log: row.log, ranges: row.ranges, records: row.records, kept: row.kept, rule: row.rule },
    recorded: { log: row.recorded_log, sequence: row.recorded_sequence, at: row.recorded_at },
    ...{ removedAt: row.removed_at, publishedAt: row.published_at },
  };
}
