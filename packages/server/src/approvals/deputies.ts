import type { Deputy, NewDeputy } from '@gatehouse/protocol';
import type { VerifiedAssertion } from '../identity/index.ts';
import { canonicalJson, digestJson, GatehouseError, type Json, newId } from '../platform/index.ts';
import {
  confirmationChallenge,
  type DeputyRow,
  deputyChallenge,
  deputyProblem,
  proposed,
  sealDeputy,
  showDeputy,
  signedPart,
} from './deputyship.ts';
import { deputyLimits } from './limits.ts';
import type { ApprovalsDependencies } from './types.ts';

const DAY_MS = 86_400_000;
export interface Deputies {
  /** By the time from which they count, the last first; with `person`, those of and for this person. */
  list(filter: { person?: string; all?: boolean }): Promise<Deputy[]>;
  /** WebAuthn request options: the passkey signs who speaks for whom, and how long. */
  options(person: string, wanted: NewDeputy): Promise<Json>;
  /** By the person themselves, with their passkey. */
  create(person: string, wanted: NewDeputy, assertion: Json): Promise<Deputy>;
  /** Proposed by an admin, for somebody else and never with themselves: it counts for nothing before `confirm`. */
  createFor(person: string, wanted: NewDeputy, admin: string): Promise<Deputy>;
  /** WebAuthn request options over what was proposed. */
  confirmOptions(id: string, by: string): Promise<Json>;
  /** With the passkey of the person, or of another admin; nobody who is of one hand with whoever proposed it. */
  confirm(id: string, by: string, assertion: Json): Promise<Deputy>;
  get(id: string): Promise<Deputy | undefined>;
  withdraw(id: string, by: string): Promise<Deputy>;
}

export function createDeputies({
  storage,
  registry,
  people,
  recordChange,
  clock,
  sealer,
}: Pick<ApprovalsDependencies, 'storage' | 'registry' | 'people' | 'recordChange' | 'clock' | 'sealer'>): Deputies {
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

  async function insert(row: DeputyRow): Promise<Deputy> {
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
      await transaction
        .insertInto('deputies')
        .values({ ...row, seal: sealDeputy(sealer, row) })
        .execute();
      await recordChange(transaction, {
        operation: row.assertion === null ? 'deputy.propose' : 'deputy.create',
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

  const rowOf = (person: string, wanted: NewDeputy, madeBy: string): DeputyRow => {
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
      confirmed_by: null,
      confirmed_at: null,
      seal: null,
    };
  };

  const show = (row: DeputyRow) => showDeputy(row, clock.now());

  async function get(id: string): Promise<Deputy | undefined> {
    const row = await storage.db.selectFrom('deputies').selectAll().where('id', '=', id).executeTakeFirst();
    return row && show(row);
  }

  /** What waits to be confirmed, where this person may. */
  async function waiting(id: string, by: string): Promise<DeputyRow> {
    const row = await storage.db.selectFrom('deputies').selectAll().where('id', '=', id).executeTakeFirst();
    if (!row) throw new GatehouseError('not-found', 'deputy.unknown', `There is no deputy "${id.slice(0, 64)}".`);
    // What was changed in the database is nobody's proposal.
    if (show(row).state !== 'proposed' || deputyProblem(sealer, row) !== null) throw notWaiting();
    check(row.person, row.deputy);
    const isAdmin = registry.snapshot().people.get(by)?.roles.includes('admin') ?? false;
    if (by === row.deputy || row.made_by === `person:${by}` || (by !== row.person && !isAdmin))
      throw new GatehouseError(
        'forbidden',
        'deputy.not-yours-to-confirm',
        `${row.person} confirms this, or an admin who has not proposed it and is not the deputy.`,
      );
    return row;
  }

  const notWaiting = () =>
    new GatehouseError('conflict', 'deputy.not-proposed', 'This deputy does not wait to be confirmed.');

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
      return insert({ ...row, assertion: keptOf({ v: 1, deputy: signedPart(person, wanted) }, verified) });
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

    async confirmOptions(id, by) {
      return people.assertionOptions(by, confirmationChallenge(await waiting(id, by)));
    },

    async confirm(id, by, assertion) {
      const row = await waiting(id, by);
      const verified = await people.verifyAssertion(by, confirmationChallenge(row), assertion);
      const kept = keptOf({ v: 2, deputyship: proposed(row) }, verified);
      await storage.transaction(async (transaction) => {
        const now = clock.now();
        await people.useAssertion(transaction, verified);
        // Neither by a passkey that whoever proposed it could hold, nor by one that the deputy could.
        await people.requireSecondPerson(transaction, {
          person: by,
          passkey: verified.passkey,
          wants: (email) => `person:${email}` === row.made_by || email === row.deputy,
        });
        const confirmation = { confirmed_by: `person:${by}`, confirmed_at: now, assertion: kept };
        const confirmed = await transaction
          .updateTable('deputies')
          .set({ ...confirmation, seal: sealDeputy(sealer, { ...row, ...confirmation }) })
          .where('id', '=', id)
          .where('assertion', 'is', null)
          .where('withdrawn_at', 'is', null)
          .where('until_at', '>', now)
          .returning('id')
          .executeTakeFirst();
        if (!confirmed) throw notWaiting();
        await recordChange(transaction, {
          operation: 'deputy.confirm',
          by: `person:${by}`,
          changes: [
            `${row.deputy} says yes in the place of ${row.person}, as ${row.made_by} has proposed`,
            `from ${new Date(Math.max(row.from_at, now)).toISOString()} until ${new Date(row.until_at).toISOString()}`,
            `assertion ${digestJson(JSON.parse(kept))}`,
          ],
        });
        await storage.announce(transaction, 'deputy', id, now);
      });
      return (await get(id)) as Deputy;
    },

    async withdraw(id, by) {
      await storage.transaction(async (transaction) => {
        const now = clock.now();
        const row = await transaction
          .updateTable('deputies')
          .set({ withdrawn_at: now, withdrawn_by: by, seal: null })
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

const keptOf = (signed: object, { passkey, publicKey, rpId, origin, response }: VerifiedAssertion): string =>
  canonicalJson({ ...signed, passkey, publicKey, rpId, origin, response } as unknown as Json);
