import { createHash } from 'node:crypto';
import type { Deputy, NewDeputy } from '@gatehouse/protocol';
import { canonicalJson, digestJson, GatehouseError, type Json, newId } from '../platform/index.ts';
import type { Database, DatabaseTransaction, Tables } from '../storage/index.ts';
import type { ApprovalsDependencies } from './approvals.ts';
import { deputyLimits } from './limits.ts';
import type { Deputyship } from './rule/circle.ts';

const DAY_MS = 86_400_000;
/** An approval waits for a day at most: a yes that was given for somebody longer ago is in none that is open. */
const LOOKS_BACK_MS = 2 * DAY_MS;

type Row = Tables['deputies'];

/** Who speaks for whom, or did when something that is open was answered. What was taken back never counted. */
export async function readDeputies(db: Database | DatabaseTransaction, now: number): Promise<Deputyship[]> {
  const rows = await db
    .selectFrom('deputies')
    .selectAll()
    .where('withdrawn_at', 'is', null)
    .where('until_at', '>', now - LOOKS_BACK_MS)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    person: row.person,
    deputy: row.deputy,
    from: row.from_at,
    until: row.until_at,
    madeBy: row.made_by.replace(/^person:/, ''),
  }));
}

export interface Deputies {
  /** By the time from which they count, the last first; with `person`, those of and for this person. */
  list(filter: { person?: string; all?: boolean }): Promise<Deputy[]>;
  /** WebAuthn request options: the passkey signs who speaks for whom, and how long. */
  options(person: string, wanted: NewDeputy): Promise<Json>;
  /** By the person themselves, with their passkey. */
  create(person: string, wanted: NewDeputy, assertion: Json): Promise<Deputy>;
  /** By an admin, for somebody else and never for themselves. */
  createFor(person: string, wanted: NewDeputy, admin: string): Promise<Deputy>;
  get(id: string): Promise<Deputy | undefined>;
  withdraw(id: string, by: string): Promise<Deputy>;
}

export function createDeputies({
  storage,
  registry,
  people,
  recordChange,
  clock,
}: Pick<ApprovalsDependencies, 'storage' | 'registry' | 'people' | 'recordChange' | 'clock'>): Deputies {
  const refuse = (code: string, message: string) => new GatehouseError('bad-request', code, message);

  function periodOf({ from, until }: NewDeputy): { from: number; until: number } {
    const now = clock.now();
    const period = { from: from === undefined ? now : Date.parse(from), until: Date.parse(until) };
    if (period.until <= Math.max(now, period.from))
      throw refuse('deputy.period', 'A deputy is needed until some time after now and after its beginning.');
    if (period.until - Math.max(now, period.from) > deputyLimits.lifeDays * DAY_MS)
      throw refuse('deputy.period', `A deputy is for ${deputyLimits.lifeDays} days at most. Name them again then.`);
    if (period.from - now > deputyLimits.aheadDays * DAY_MS)
      throw refuse('deputy.period', `A deputy is named ${deputyLimits.aheadDays} days ahead at most.`);
    return { from: Math.max(now, period.from), until: period.until };
  }

  function check(person: string, deputy: string): void {
    const known = registry.snapshot().people;
    for (const email of [person, deputy])
      if (!known.has(email)) throw refuse('deputy.unknown', `There is no person ${email}.`);
    if (person === deputy) throw refuse('deputy.same', 'Nobody is their own deputy.');
  }

  async function insert(row: Row): Promise<Deputy> {
    await storage.transaction(async (transaction) => {
      const others = await transaction
        .selectFrom('deputies')
        .select('id')
        .where('person', '=', row.person)
        .where('withdrawn_at', 'is', null)
        .where('until_at', '>', row.made_at)
        .limit(deputyLimits.perPerson)
        .execute();
      if (others.length >= deputyLimits.perPerson)
        throw new GatehouseError(
          'too-many',
          'deputy.too-many',
          `${row.person} has ${deputyLimits.perPerson} deputies, which are the most. Withdraw one first.`,
        );
      await transaction.insertInto('deputies').values(row).execute();
      await recordChange(transaction, {
        operation: 'deputy.create',
        by: row.made_by,
        changes: [
          `${row.deputy} says yes in the place of ${row.person}`,
          `from ${new Date(row.from_at).toISOString()} until ${new Date(row.until_at).toISOString()}`,
          ...(row.assertion === null ? [] : [`assertion ${digestJson(JSON.parse(row.assertion))}`]),
        ],
        ...(row.reason && { detail: row.reason }),
      });
      await storage.announce(transaction, 'deputy', row.id, row.made_at);
    });
    return show(row);
  }

  const rowOf = (person: string, wanted: NewDeputy, madeBy: string): Row => {
    check(person, wanted.deputy);
    const { from, until } = periodOf(wanted);
    const now = clock.now();
    return {
      id: newId('dep', now),
      person,
      deputy: wanted.deputy,
      from_at: from,
      until_at: until,
      reason: wanted.reason,
      made_at: now,
      made_by: `person:${madeBy}`,
      withdrawn_at: null,
      withdrawn_by: null,
      assertion: null,
    };
  };

  function show(row: Row): Deputy {
    const now = clock.now();
    const state =
      row.withdrawn_at !== null ? 'withdrawn' : row.until_at <= now ? 'over' : row.from_at > now ? 'ahead' : 'in-force';
    return {
      id: row.id,
      person: row.person,
      deputy: row.deputy,
      from: row.from_at,
      until: row.until_at,
      reason: row.reason,
      madeAt: row.made_at,
      madeBy: row.made_by,
      withdrawnAt: row.withdrawn_at,
      withdrawnBy: row.withdrawn_by,
      state,
    };
  }

  async function get(id: string): Promise<Deputy | undefined> {
    const row = await storage.db.selectFrom('deputies').selectAll().where('id', '=', id).executeTakeFirst();
    return row && show(row);
  }

  return {
    get,

    async list({ person, all = false }) {
      let query = storage.db.selectFrom('deputies').selectAll();
      if (person !== undefined)
        query = query.where((where) => where.or([where('person', '=', person), where('deputy', '=', person)]));
      if (!all) query = query.where('withdrawn_at', 'is', null).where('until_at', '>', clock.now());
      const rows = await query.orderBy('from_at', 'desc').limit(deputyLimits.listed).execute();
      return rows.map(show);
    },

    async options(person, wanted) {
      rowOf(person, wanted, person);
      return people.assertionOptions(person, deputyChallenge(person, wanted));
    },

    async create(person, wanted, assertion) {
      const row = rowOf(person, wanted, person);
      const verified = await people.verifyAssertion(person, deputyChallenge(person, wanted), assertion);
      await storage.transaction((transaction) => people.useAssertion(transaction, verified));
      const { passkey, publicKey, rpId, origin, response } = verified;
      const kept = { v: 1, deputy: signedPart(person, wanted), passkey, publicKey, rpId, origin, response };
      return insert({ ...row, assertion: canonicalJson(kept as unknown as Json) });
    },

    async createFor(person, wanted, admin) {
      if (wanted.deputy === admin)
        throw new GatehouseError(
          'forbidden',
          'deputy.own',
          `You can't make yourself the deputy of ${person}. They do that themselves, or another admin.`,
        );
      return insert(rowOf(person, wanted, admin));
    },

    async withdraw(id, by) {
      await storage.transaction(async (transaction) => {
        const now = clock.now();
        const row = await transaction
          .updateTable('deputies')
          .set({ withdrawn_at: now, withdrawn_by: by })
          .where('id', '=', id)
          .where('withdrawn_at', 'is', null)
          .where('until_at', '>', now)
          .returningAll()
          .executeTakeFirst();
        if (!row)
          throw new GatehouseError(
            'conflict',
            'deputy.over',
            'This deputy is not in force any more: there is nothing to withdraw.',
          );
        // What they have said yes to and was not used yet is decided again.
        await storage.bumpFences(transaction, [`person:${row.person}`]);
        await storage.announce(transaction, 'object', `Person/${row.person}`, now);
        await recordChange(transaction, {
          operation: 'deputy.withdraw',
          by,
          changes: [`${row.deputy} no longer says yes in the place of ${row.person}`],
        });
        await storage.announce(transaction, 'deputy', row.id, now);
      });
      return (await get(id)) as Deputy;
    },
  };
}

const signedPart = (person: string, { deputy, from, until, reason }: NewDeputy) => ({
  person,
  deputy,
  ...(from !== undefined && { from }),
  until,
  reason,
});

/** What the passkey signs. */
function deputyChallenge(person: string, wanted: NewDeputy): Uint8Array {
  return createHash('sha256')
    .update(canonicalJson({ v: 1, deputy: signedPart(person, wanted) }))
    .digest();
}
