import type { Erasure, ErasurePreview, KeepingScope, LegalHold } from '@gatehouse/protocol';
import { type Clock, canonicalJson, GatehouseError, newId } from '../../platform/index.ts';
import type { Database, DatabaseTransaction, RecordChange, Storage, Tables } from '../../storage/index.ts';
import { eraseBodies, eraseKept, keptStill } from './bodies.ts';
import type { ClockDoubt } from './clock-doubt.ts';
import { keepingLimits as limits } from './limits.ts';
import { reachOf } from './reach.ts';
import { lookAgain, removeOldBodies } from './retention-arguments.ts';
import { scopeWords } from './scope.ts';
import { recordsOfActions, unheldOf } from './unheld.ts';
import { type Bounds, boundsNow, nextActions, type Place, parsePlace, placeWords } from './walk.ts';

export interface KeepingDependencies {
  storage: Storage;
  recordChange: RecordChange;
  clock: Clock;
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
  /** By somebody else than who asked. */
  agreeEnd(id: string, by: string): Promise<LegalHold>;
  erasures(): Promise<Erasure[]>;
  erase(scope: KeepingScope, reason: string, by: string): Promise<Erasure>;
  /** What an erasure would take: counts, and where to go on with the next look, or null at the end. */
  preview(scope: KeepingScope, cursor: string | undefined): Promise<ErasurePreview>;
  /** By somebody else than who asked; from then on it runs in the background. */
  agree(id: string, by: string): Promise<Erasure>;
  reject(id: string, by: string): Promise<Erasure>;
  /** One turn of what runs in the background: it goes on where any replica has stopped. */
  work(): Promise<void>;
}

/** The token of the host is nobody in particular: whoever agrees to what it asks has asked, and somebody else has to agree. */
const OPERATOR = 'operator';

export function createKeeping(deps: KeepingDependencies): Keeping {
  const { storage, recordChange, clock } = deps;
  const { db } = storage;

  const openHolds = async (on: Database | DatabaseTransaction): Promise<LegalHold[]> =>
    (await on.selectFrom('holds').selectAll().where('ended_at', 'is', null).orderBy('placed_at').execute()).map(toHold);

  async function holdIn(transaction: DatabaseTransaction, id: string): Promise<LegalHold> {
    const row = await transaction.selectFrom('holds').selectAll().where('id', '=', id).executeTakeFirst();
    if (!row) throw new GatehouseError('not-found', 'hold.unknown', `There is no hold "${id}".`);
    if (row.ended_at !== null) throw new GatehouseError('conflict', 'hold.ended', 'This hold has ended already.');
    return toHold(row);
  }

  async function erasureIn(transaction: DatabaseTransaction, id: string, state: Erasure['state']): Promise<Erasure> {
    const row = await transaction.selectFrom('erasures').selectAll().where('id', '=', id).executeTakeFirst();
    if (!row) throw new GatehouseError('not-found', 'erasure.unknown', `There is no erasure "${id}".`);
    if (row.state !== state)
      throw new GatehouseError('conflict', 'erasure.state', `This erasure is ${row.state}, not ${state}.`);
    return toErasure(row);
  }

  function checkOther(asked: string | null, by: string): void {
    if (asked !== by) return;
    throw new GatehouseError('forbidden', 'keeping.second-person', 'Whoever asked can’t agree: somebody else has to.');
  }

  /** What of these actions may go now; a hold that was placed meanwhile counts. */
  async function eraseUnheld(transaction: DatabaseTransaction, actionIds: string[]) {
    const holds = await openHolds(transaction);
    const records = holds.length === 0 ? [] : await recordsOfActions(transaction, actionIds);
    const free = unheldOf(actionIds, records, holds);
    return { erased: await eraseBodies(transaction, free, clock.now()), held: actionIds.length - free.length };
  }

  async function eraseMore(id: string): Promise<boolean> {
    const row = await db.selectFrom('erasures').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
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
          changes: [
            `${id}: ${total.erased} bodies erased, ${total.held} actions kept by a hold`,
            ...(kept > 0 ? [`${kept} approvals and grants that are not over lose arguments when they are`] : []),
          ],
        });
      }
      return next !== null;
    });
  }

  async function settle(id: string, by: string, to: 'running' | 'rejected'): Promise<Erasure> {
    return storage.transaction(async (transaction) => {
      const erasure = await erasureIn(transaction, id, 'waiting');
      const now = clock.now();
      if (to === 'running' && erasure.askedBy === OPERATOR) {
        await transaction.updateTable('erasures').set({ asked_by: by }).where('id', '=', id).execute();
        const changes = [`${id}, asked for by ${OPERATOR}: bodies of ${scopeWords(erasure.scope)}`];
        await recordChange(transaction, { operation: 'erasure.take-up', by, changes });
        return { ...erasure, askedBy: by };
      }
      if (to === 'running') checkOther(erasure.askedBy, by);
      await transaction
        .updateTable('erasures')
        .set({
          ...{ state: to, agreed_by: by, agreed_at: now },
          // Two people agreed to what there was: also after a restore nothing that came later is erased.
          ...(to === 'running' ? { bounds: JSON.stringify(await boundsNow(transaction)) } : { ended_at: now }),
        })
        .where('id', '=', id)
        .execute();
      await recordChange(transaction, {
        operation: to === 'running' ? 'erasure.agree' : 'erasure.reject',
        by,
        changes: [`${id}, asked for by ${erasure.askedBy}: bodies of ${scopeWords(erasure.scope)}`],
      });
      return { ...erasure, state: to, agreedBy: by };
    });
  }

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
          ...{ end_asked_by: null, end_asked_at: null, ended_by: null, ended_at: null },
        };
        await transaction.insertInto('holds').values(row).execute();
        // The scope as it is: records are kept by what is on record, whatever becomes of the row.
        const changes = [`${row.id} on ${scopeWords(scope)}`, canonicalJson(scope)];
        await recordChange(transaction, { operation: 'hold.place', by, action: row.id, changes, detail: reason });
        return toHold(row);
      }),
    askEnd: (id, by) =>
      storage.transaction(async (transaction) => {
        const hold = await holdIn(transaction, id);
        await transaction
          .updateTable('holds')
          .set({ end_asked_by: by, end_asked_at: clock.now() })
          .where('id', '=', id)
          .execute();
        await recordChange(transaction, {
          operation: 'hold.ask-end',
          by,
          changes: [`${id} on ${scopeWords(hold.scope)}`],
        });
        return { ...hold, endAskedBy: by };
      }),
    agreeEnd: (id, by) =>
      storage.transaction(async (transaction) => {
        const hold = await holdIn(transaction, id);
        if (hold.endAskedBy === null)
          throw new GatehouseError('conflict', 'hold.not-asked', 'Nobody has asked for the end of this hold.');
        if (hold.endAskedBy === OPERATOR) {
          await transaction.updateTable('holds').set({ end_asked_by: by }).where('id', '=', id).execute();
          const changes = [`${id} on ${scopeWords(hold.scope)}, asked for by ${OPERATOR}`];
          await recordChange(transaction, { operation: 'hold.take-up', by, changes });
          return { ...hold, endAskedBy: by };
        }
        checkOther(hold.endAskedBy, by);
        const endedAt = clock.now();
        await transaction.updateTable('holds').set({ ended_by: by, ended_at: endedAt }).where('id', '=', id).execute();
        await lookAgain(transaction);
        await recordChange(transaction, {
          operation: 'hold.end',
          by,
          action: id,
          changes: [`${id} on ${scopeWords(hold.scope)}, asked for by ${hold.endAskedBy}`],
        });
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
        };
        await transaction.insertInto('erasures').values(row).execute();
        const changes = [`${row.id}: bodies of ${scopeWords(scope)}`];
        await recordChange(transaction, { operation: 'erasure.ask', by, changes, detail: reason });
        return toErasure(row);
      }),
    async preview(scope, cursor) {
      const from = cursor === undefined ? null : parsePlace(cursor);
      const holds = await openHolds(db);
      const { reach, next } = await reachOf(db, scope, from, { holds, forMs: deps.previewMs ?? limits.previewMs });
      return { ...reach, cursor: next && placeWords(next) };
    },
    agree: (id, by) => settle(id, by, 'running'),
    reject: (id, by) => settle(id, by, 'rejected'),
    async work() {
      const running = await db.selectFrom('erasures').select('id').where('state', '=', 'running').execute();
      let left = limits.batchesOfTurn;
      for (const { id } of running) while (left-- > 0 && (await eraseMore(id)));
      while (left-- > 0 && (await storage.transaction((transaction) => eraseKept(transaction, clock.now()))));
      if ((await deps.clockDoubt()) === null) await removeOldBodies({ ...deps, eraseUnheld }, () => left-- > 0);
    },
  };
}

function toHold(row: Tables['holds']): LegalHold {
  return {
    id: row.id,
    scope: JSON.parse(row.scope) as KeepingScope,
    reason: row.reason,
    placedBy: row.placed_by,
    placedAt: row.placed_at,
    endAskedBy: row.end_asked_by,
    endedBy: row.ended_by,
    endedAt: row.ended_at,
  };
}

function toErasure(row: Tables['erasures']): Erasure {
  return {
    id: row.id,
    scope: JSON.parse(row.scope) as KeepingScope,
    reason: row.reason,
    state: row.state as Erasure['state'],
    askedBy: row.asked_by,
    askedAt: row.asked_at,
    agreedBy: row.agreed_by,
    erased: row.erased,
    held: row.held,
    endedAt: row.ended_at,
  };
}
