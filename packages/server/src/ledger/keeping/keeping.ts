import {
  type Erasure,
  type ErasurePreview,
  erasureStatement,
  holdEndStatement,
  type KeepingScope,
  type LegalHold,
  type SecondYesStatement,
} from '@gatehouse/protocol';
import { requireAsAsked, type SecondYes, sealAsked } from '../../identity/index.ts';
import { type Clock, canonicalJson, GatehouseError, type Log, newId } from '../../platform/index.ts';
import type { Database, DatabaseTransaction, RecordChange, Sealer, Storage, Tables } from '../../storage/index.ts';
import { agreedProblem, hasEnded, sealAgreed, sealEnded, toErasure, toHold } from './agreed.ts';
import { eraseBodies, eraseKept, keptStill } from './bodies.ts';
import type { ClockDoubt } from './clock-doubt.ts';
import { createHoldEnds } from './hold-ends.ts';
import { keepingLimits as limits } from './limits.ts';
import { reachOf } from './reach.ts';
import { lookAgain, removeOldBodies } from './retention-arguments.ts';
import { scopeWords } from './scope.ts';
import { recordsOfActions, unheldOf } from './unheld.ts';
import { type Bounds, boundsNow, nextActions, type Place, parsePlace, placeWords } from './walk.ts';

export interface KeepingDependencies {
  storage: Storage;
  recordChange: RecordChange;
  sealer: Sealer;
  clock: Clock;
  log: Log;
  /** This replica's own, from which all others are known. */
  ownLog: { id: string; vkey: string };
  /** How long the arguments of actions are kept; null: for ever. */
  argumentsDays: number | null;
  clockDoubt: ClockDoubt;
  /** How long one look goes on (for tests). */
  previewMs?: number;
}

/**
 * How long bodies stay, who may not have them removed, and who has them erased before that. Records and the tree are never touched: a
 * body goes with its salt, and leaves a digest from which nobody can guess it. A hold goes before everything.
 */
export interface Keeping {
  holds(): Promise<LegalHold[]>;
  hold(scope: KeepingScope, reason: string, by: string): Promise<LegalHold>;
  askEnd(id: string, by: string): Promise<LegalHold>;
  /** What whoever agrees to that signs. */
  askedEnd(id: string): Promise<SecondYesStatement>;
  /** By somebody else than who asked. */
  agreeEnd(id: string, said: SecondYes): Promise<LegalHold>;
  erasures(): Promise<Erasure[]>;
  erase(scope: KeepingScope, reason: string, by: string): Promise<Erasure>;
  /** What an erasure would take: counts, and where to go on with the next look, or null at the end. */
  preview(scope: KeepingScope, cursor: string | undefined): Promise<ErasurePreview>;
  /** What whoever agrees to it signs. */
  asked(id: string): Promise<SecondYesStatement>;
  /** By somebody else than who asked; from then on it runs in the background. */
  agree(id: string, said: SecondYes): Promise<Erasure>;
  reject(id: string, by: string): Promise<Erasure>;
  /** One turn of what runs in the background: it goes on where any replica has stopped. */
  work(): Promise<void>;
}

/** The token of the host is nobody in particular: whoever agrees to what it asks has asked, and somebody else has to agree. */
const OPERATOR = 'operator';

export function createKeeping(deps: KeepingDependencies): Keeping {
  const { storage, recordChange, sealer, clock, log } = deps;
  const judgeEnds = createHoldEnds(deps);
  const { db } = storage;

  const openHolds = async (on: Database | DatabaseTransaction): Promise<LegalHold[]> =>
    (await on.selectFrom('holds').selectAll().orderBy('placed_at').execute())
      .filter((row) => !hasEnded(sealer, row))
      .map(toHold);

  async function holdIn(on: Database | DatabaseTransaction, id: string): Promise<Tables['holds']> {
    const row = await on.selectFrom('holds').selectAll().where('id', '=', id).executeTakeFirst();
    if (!row) throw new GatehouseError('not-found', 'hold.unknown', `There is no hold "${id}".`);
    if (row.ended_at !== null) throw new GatehouseError('conflict', 'hold.ended', 'This hold has ended already.');
    return row;
  }

  function endOf(hold: LegalHold): SecondYesStatement {
    const statement = holdEndStatement(hold);
    if (statement) return statement;
    throw new GatehouseError('conflict', 'hold.not-asked', 'Nobody has asked for the end of this hold.');
  }

  /** With the seal: asked for in this person's name. */
  async function askEndIn(transaction: DatabaseTransaction, hold: LegalHold): Promise<void> {
    await transaction
      .updateTable('holds')
      .set({ end_asked_by: hold.endAskedBy, end_asked_at: clock.now(), end_seal: sealAsked(sealer, endOf(hold)) })
      .where('id', '=', hold.id)
      .execute();
  }

  async function erasureIn(on: Database | DatabaseTransaction, id: string): Promise<Tables['erasures']> {
    const row = await on.selectFrom('erasures').selectAll().where('id', '=', id).executeTakeFirst();
    if (!row) throw new GatehouseError('not-found', 'erasure.unknown', `There is no erasure "${id}".`);
    if (row.state !== 'waiting')
      throw new GatehouseError('conflict', 'erasure.state', `This erasure is ${row.state}, not waiting.`);
    return row;
  }

  /** What of these actions may go now; a hold that was placed meanwhile counts. */
  async function eraseUnheld(transaction: DatabaseTransaction, actionIds: string[]) {
    const holds = await openHolds(transaction);
    const records = holds.length === 0 ? [] : await recordsOfActions(transaction, actionIds);
    const free = unheldOf(actionIds, records, holds);
    return { erased: await eraseBodies(transaction, free, clock.now()), held: actionIds.length - free.length };
  }

  /** What two people have agreed to is not this: it waits until a second person agrees to what was asked. */
  async function askAgain(id: string): Promise<void> {
    const problem = await storage.transaction(async (transaction) => {
      const row = await transaction.selectFrom('erasures').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
      const found = row.state === 'running' ? agreedProblem(sealer, row) : null;
      if (found === null) return null;
      const none = { agreed_by: null, agreed_at: null, agreed_seal: null, bounds: null, reached: null, ended_at: null };
      await transaction
        .updateTable('erasures')
        .set({ ...none, state: 'waiting', held: 0 })
        .where('id', '=', id)
        .execute();
      const changes = [`erasure ${id} is not what two people agreed to (${found}): it erases nothing, and waits again`];
      await recordChange(transaction, { operation: 'seal.broken', by: 'gatehouse', action: id, changes });
      return found;
    });
    if (problem !== null)
      log.error('ALARM: an erasure was changed in the database, and erases nothing', { erasure: id, problem });
  }

  async function eraseMore(id: string): Promise<boolean> {
    const row = await db.selectFrom('erasures').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
    if (row.state !== 'running') return false;
    if (agreedProblem(sealer, row) !== null) {
      await askAgain(id);
      return false;
    }
    const scope = JSON.parse(row.scope) as KeepingScope;
    const bounds = JSON.parse(row.bounds ?? '{}') as Bounds;
    const reached = row.reached === null ? null : (JSON.parse(row.reached) as Place);
    const { actionIds, next } = await nextActions(db, scope, bounds, reached);
    return storage.transaction(async (transaction) => {
      const still = await transaction.selectFrom('erasures').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
      // Another replica has done this part.
      if (still.state !== 'running' || still.reached !== row.reached) return still.state === 'running';
      const { erased, held } = await eraseUnheld(transaction, actionIds);
      const now = clock.now();
      const total = { erased: still.erased + erased, held: still.held + held };
      await transaction
        .updateTable('erasures')
        .set({
          ...total,
          reached: next === null ? null : JSON.stringify(next),
          ...(next === null && { state: 'done', ended_at: now }),
        })
        .where('id', '=', id)
        .execute();
      if (next === null) {
        const kept = await keptStill(transaction);
        await recordChange(transaction, {
          operation: 'erasure.done',
          by: 'gatehouse',
          action: id,
          changes: [
            `${id}: ${total.erased} bodies erased, ${total.held} actions kept by a hold`,
            ...(kept > 0 ? [`${kept} approvals and grants that are not over lose arguments when they are`] : []),
          ],
        });
      }
      return next !== null;
    });
  }

  const recordErasure = (
    transaction: DatabaseTransaction,
    { id, askedBy, scope }: Erasure,
    { operation, by, yes = [] }: { operation: string; by: string; yes?: string[] },
  ) => {
    const changes = [`${id}, asked for by ${askedBy}: bodies of ${scopeWords(scope)}`, ...yes];
    return recordChange(transaction, { operation, by, action: id, changes });
  };

  return {
    async holds() {
      return (
        await db
          .selectFrom('holds')
          .selectAll()
          .orderBy('placed_at', 'desc')
          .limit(limits.holds * 2)
          .execute()
      ).map(toHold);
    },
    hold: (scope, reason, by) =>
      storage.transaction(async (transaction) => {
        if ((await openHolds(transaction)).length >= limits.holds)
          throw new GatehouseError('too-many', 'hold.too-many', `There are ${limits.holds} holds. End one first.`);
        const now = clock.now();
        const row = {
          ...{ id: newId('hld', now), scope: JSON.stringify(scope), reason, placed_by: by, placed_at: now },
          ...{
            end_asked_by: null,
            end_asked_at: null,
            ended_by: null,
            ended_at: null,
            end_seal: null,
            ended_seal: null,
          },
        };
        await transaction.insertInto('holds').values(row).execute();
        // The scope as it is: records are kept by what is on record, whatever becomes of the row.
        const changes = [`${row.id} on ${scopeWords(scope)}`, canonicalJson(scope)];
        await recordChange(transaction, { operation: 'hold.place', by, action: row.id, changes, detail: reason });
        return toHold(row);
      }),
    askEnd: (id, by) =>
      storage.transaction(async (transaction) => {
        const hold = { ...toHold(await holdIn(transaction, id)), endAskedBy: by };
        await askEndIn(transaction, hold);
        await recordChange(transaction, {
          operation: 'hold.ask-end',
          by,
          action: id,
          changes: [`${id} on ${scopeWords(hold.scope)}`],
        });
        return hold;
      }),
    askedEnd: async (id) => endOf(toHold(await holdIn(db, id))),
    agreeEnd: (id, said) =>
      storage.transaction(async (transaction) => {
        const row = await holdIn(transaction, id);
        const hold = toHold(row);
        requireAsAsked(sealer, endOf(hold), row.end_seal);
        const { by } = said;
        const yes = await said.to(transaction, endOf(hold));
        const changes = [`${id} on ${scopeWords(hold.scope)}, asked for by ${hold.endAskedBy}`, yes];
        if (hold.endAskedBy === OPERATOR) {
          await askEndIn(transaction, { ...hold, endAskedBy: by });
          await recordChange(transaction, { operation: 'hold.take-up', by, action: id, changes });
          return { ...hold, endAskedBy: by };
        }
        const endedAt = clock.now();
        const end = { ended_by: by, ended_at: endedAt };
        await transaction
          .updateTable('holds')
          .set({ ...end, ended_seal: sealEnded(sealer, { ...row, ...end }) })
          .where('id', '=', id)
          .execute();
        await lookAgain(transaction);
        await recordChange(transaction, { operation: 'hold.end', by, action: id, changes });
        return { ...hold, endedBy: by, endedAt };
      }),
    async erasures() {
      return (await db.selectFrom('erasures').selectAll().orderBy('asked_at', 'desc').limit(200).execute()).map(
        toErasure,
      );
    },
    erase: (scope, reason, by) =>
      storage.transaction(async (transaction) => {
        const open = await transaction
          .selectFrom('erasures')
          .select('id')
          .where('state', 'in', ['waiting', 'running'])
          .execute();
        if (open.length >= limits.erasures)
          throw new GatehouseError('too-many', 'erasure.too-many', `${limits.erasures} erasures wait or run already.`);
        const now = clock.now();
        const row = {
          ...{
            id: newId('ers', now),
            scope: JSON.stringify(scope),
            reason,
            state: 'waiting',
            asked_by: by,
            asked_at: now,
          },
          ...{ agreed_by: null, agreed_at: null, bounds: null, reached: null, erased: 0, held: 0, ended_at: null },
          ...{ seal: null, agreed_seal: null },
        };
        const erasure = toErasure(row);
        const seal = sealAsked(sealer, erasureStatement(erasure));
        await transaction
          .insertInto('erasures')
          .values({ ...row, seal })
          .execute();
        const changes = [`${row.id}: bodies of ${scopeWords(scope)}`];
        await recordChange(transaction, { operation: 'erasure.ask', by, action: row.id, changes, detail: reason });
        return erasure;
      }),
    async preview(scope, cursor) {
      const from = cursor === undefined ? null : parsePlace(cursor);
      const holds = await openHolds(db);
      const { reach, next } = await reachOf(db, scope, from, { holds, forMs: deps.previewMs ?? limits.previewMs });
      return { ...reach, cursor: next && placeWords(next) };
    },
    asked: async (id) => erasureStatement(toErasure(await erasureIn(db, id))),
    agree: (id, said) =>
      storage.transaction(async (transaction) => {
        const row = await erasureIn(transaction, id);
        const erasure = toErasure(row);
        requireAsAsked(sealer, erasureStatement(erasure), row.seal);
        const { by } = said;
        const yes = [await said.to(transaction, erasureStatement(erasure))];
        if (erasure.askedBy === OPERATOR) {
          const taken = { ...erasure, askedBy: by };
          const seal = sealAsked(sealer, erasureStatement(taken));
          await transaction.updateTable('erasures').set({ asked_by: by, seal }).where('id', '=', id).execute();
          await recordErasure(transaction, erasure, { operation: 'erasure.take-up', by, yes });
          return taken;
        }
        // Two people agreed to what there was: also after a restore nothing that came later is erased.
        const bounds = JSON.stringify(await boundsNow(transaction));
        const agreed = { state: 'running', agreed_by: by, agreed_at: clock.now(), bounds };
        await transaction
          .updateTable('erasures')
          .set({ ...agreed, agreed_seal: sealAgreed(sealer, { ...row, ...agreed }) })
          .where('id', '=', id)
          .execute();
        await recordErasure(transaction, erasure, { operation: 'erasure.agree', by, yes });
        return { ...erasure, state: 'running', agreedBy: by };
      }),
    reject: (id, by) =>
      storage.transaction(async (transaction) => {
        const erasure = toErasure(await erasureIn(transaction, id));
        const now = clock.now();
        await transaction
          .updateTable('erasures')
          .set({ state: 'rejected', agreed_by: by, agreed_at: now, ended_at: now })
          .where('id', '=', id)
          .execute();
        await recordErasure(transaction, erasure, { operation: 'erasure.reject', by });
        return { ...erasure, state: 'rejected', agreedBy: by };
      }),
    async work() {
      await judgeEnds();
      const running = await db.selectFrom('erasures').select('id').where('state', '=', 'running').execute();
      let left = limits.batchesOfTurn;
      for (const { id } of running) while (left-- > 0 && (await eraseMore(id)));
      while (left-- > 0 && (await storage.transaction((transaction) => eraseKept(transaction, clock.now()))));
      if ((await deps.clockDoubt()) === null) await removeOldBodies({ ...deps, eraseUnheld }, () => left-- > 0);
    },
  };
}
