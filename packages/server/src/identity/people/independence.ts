import { type Clock, GatehouseError } from '../../platform/index.ts';
import type { Database, DatabaseTransaction, Sealer, Tables } from '../../storage/index.ts';
import { passkeyLimits as limits } from './limits.ts';
import { requirePasskey, sealedPasskey } from './seals.ts';

/**
 * Whoever makes the link for somebody's first or new passkey could use it themselves. For a while such a passkey is no second person
 * beside its maker, and one that the host's token has let in is none beside anybody. A confirmation by another admin ends that.
 */
type Row = Tables['passkeys'];

/** Neither is known without the seal: who writes to the database would take a passkey out of doubt, and have one that is sealed inherit that. */
const isYoung = (row: Row, now: number) => row.made_by !== null && row.created_at > now - limits.quarantineMs;

/** Those of these people that are not yet plainly their own, or have this id. Throws where a row of theirs was changed. */
async function youngPasskeys(
  db: Database | DatabaseTransaction,
  { people, passkey = '', now, sealer }: { people: readonly string[]; passkey?: string; now: number; sealer: Sealer },
): Promise<Row[]> {
  const rows = await db
    .selectFrom('passkeys')
    .selectAll()
    .where((where) => where.or([where('person', 'in', [...people, '']), where('id', '=', passkey)]))
    .execute();
  for (const row of rows) requirePasskey(sealer, row);
  return rows.filter((row) => isYoung(row, now));
}

/** For what lists show of them. */
export const unconfirmedPasskeys = (db: Database, now: number) =>
  db
    .selectFrom('passkeys')
    .select(['person', 'made_by', 'created_at'])
    .where('made_by', 'is not', null)
    .where('confirmed_by', 'is', null)
    .where('created_at', '>', now - limits.quarantineMs)
    .execute();

/** What is kept with a passkey that a link of `maker` leads to; null: nobody else had a hand in it. */
export async function makerToKeep(
  transaction: DatabaseTransaction,
  maker: string,
  person: string,
  now: number,
): Promise<string | null> {
  if (maker === `person:${person}`) return null;
  if (maker.startsWith('person:')) return maker;
  return (await isBeingSetUp(transaction, now)) ? null : maker;
}

/** Whoever has the host sets the workspace up: the first people get in by nobody else's word. */
async function isBeingSetUp(transaction: DatabaseTransaction, now: number): Promise<boolean> {
  const oldest = await transaction
    .selectFrom('passkeys')
    .select(({ fn }) => fn.min('created_at').as('at'))
    .executeTakeFirst();
  const former = await transaction.selectFrom('former_deciders').select('person').executeTakeFirst();
  if (oldest?.at == null && !former) return true;
  const first = await transaction.selectFrom('policy_versions').select('at').orderBy('number').executeTakeFirst();
  return Math.min(Number(oldest?.at ?? now), first?.at ?? now) > now - limits.setUpMs;
}

/** A passkey that is added in a session of somebody whose passkeys are in doubt is no better than those. */
export function inherited(earlier: readonly Row[], now: number, sealer: Sealer): Pick<Row, 'made_by' | 'confirmed_by'> {
  for (const row of earlier) requirePasskey(sealer, row);
  const doubtful = earlier.find((row) => isYoung(row, now));
  return { made_by: doubtful?.made_by ?? null, confirmed_by: doubtful?.confirmed_by ?? null };
}

/**
 * Throws unless this person, by this passkey, is somebody else than those who want it: neither has one of them made it lately, nor has this
 * person made a passkey of theirs. `wants`: whether an address is one of those who want it. Without a passkey (a yes in a channel) only the latter.
 */
export async function requireSecondPerson(
  db: Database | DatabaseTransaction,
  { clock, sealer }: { clock: Clock; sealer: Sealer },
  { person, passkey, wants }: { person: string; passkey?: string; wants(email: string): boolean },
): Promise<void> {
  const all = await db.selectFrom('passkeys').select('person').distinct().execute();
  const people = all.flatMap((each) => (wants(each.person) ? [each.person] : []));
  const of = { people, ...(passkey !== undefined && { passkey }), now: clock.now(), sealer };
  for (const made of await youngPasskeys(db, of)) {
    const vouchers = [made.made_by, made.confirmed_by].flatMap((by) =>
      by?.startsWith('person:') && by !== `person:${made.person}` ? by.slice('person:'.length) : [],
    );
    const until = new Date(made.created_at + limits.quarantineMs).toISOString().slice(0, 16).replace('T', ' ');
    if (made.id === passkey && !vouchers.some((by) => !wants(by)))
      throw notSecond(
        `This passkey was enrolled by a link that ${inWords(made)} made, so that until ${until} UTC it is no second person ${made.made_by?.startsWith('person:') ? 'for what they want' : 'for anybody'}.`,
      );
    if (made.person !== person && wants(made.person) && !vouchers.some((by) => by !== person && !wants(by)))
      throw notSecond(
        `${made.person}, who wants this, has a passkey by a link that ${inWords(made)} made, so that until ${until} UTC you are no second person for it.`,
      );
  }
}

const inWords = ({ made_by }: Row) => (made_by?.startsWith('person:') ? made_by.slice(7) : "the server's host");

const notSecond = (why: string) =>
  new GatehouseError(
    'forbidden',
    'passkey.no-second-person',
    `${why} Somebody else decides, or an admin who has made no such link and did not ask for this confirms the passkey first: People in the console.`,
  );

/** An admin has seen whose passkeys these are. Nobody confirms their own, nor a link of their own, nor while they are in doubt themselves. */
export async function confirmPasskeys(
  transaction: DatabaseTransaction,
  person: string,
  by: string,
  now: number,
  sealer: Sealer,
): Promise<string[]> {
  const young = await youngPasskeys(transaction, { people: [person, by], now, sealer });
  const open = young.filter((each) => each.person === person && each.confirmed_by === null);
  if (open.length === 0)
    throw new GatehouseError(
      'conflict',
      'passkey.nothing-to-confirm',
      `No passkey of ${person} waits to be confirmed.`,
    );
  const refuse = (why: string) => new GatehouseError('forbidden', 'passkey.not-yours-to-confirm', why);
  if (person === by) throw refuse('Nobody confirms their own passkey. Ask another admin.');
  if (open.some(({ made_by }) => made_by === `person:${by}`))
    throw refuse('You have made the link for this passkey, so that another admin confirms it.');
  if (young.some((each) => each.person === by && each.confirmed_by === null))
    throw refuse('Your own passkey was enrolled by a link within the last 7 days. Somebody confirms that one first.');
  for (const row of open) {
    const confirmed = sealedPasskey(sealer, { ...row, confirmed_by: `person:${by}` });
    const done = await transaction
      .updateTable('passkeys')
      .set({ confirmed_by: confirmed.confirmed_by, seal: confirmed.seal })
      .where('id', '=', row.id)
      .where('counter', '=', row.counter)
      .returning('id')
      .executeTakeFirst();
    if (!done)
      throw new GatehouseError('conflict', 'passkey.in-use', 'This passkey was used just now. Confirm it again.');
  }
  return open.map(({ id }) => id);
}
