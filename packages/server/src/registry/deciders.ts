import type { Role } from '@gatehouse/protocol';
import type { Database, DatabaseTransaction } from '../storage/index.ts';
import { knownPerson } from './known-people.ts';
import { fromObjectRow, type StoredObject } from './objects.ts';

/** Roles that decide about proposed changes of the policies. */
export const decidingRoles: readonly Role[] = ['admin', 'security'];

/** Who has such a role, as stored now, and a passkey to say so with; of everybody, or whether one person is among them. */
export async function decidersIn(db: Database | DatabaseTransaction, only?: string): Promise<Set<string>> {
  let passkeys = db.selectFrom('passkeys').select('person').distinct();
  let people = db.selectFrom('objects').select('body').where('kind', '=', 'Person');
  if (only !== undefined) {
    passkeys = passkeys.where('person', '=', only);
    people = people.where('name', '=', only);
  }
  const enrolled = new Set((await passkeys.execute()).map(({ person }) => person));
  if (enrolled.size === 0) return enrolled;
  const groups = await db.selectFrom('objects').select('body').where('kind', '=', 'RoleMapping').execute();
  const mappings = groups
    .map(fromObjectRow)
    .flatMap(({ manifest }) => (manifest.kind === 'RoleMapping' ? manifest : []));
  const decides = ({ manifest, person }: StoredObject) =>
    manifest.kind === 'Person' &&
    enrolled.has(manifest.email) &&
    knownPerson({ manifest, ...(person && { person }) }, mappings).roles.some((role) => decidingRoles.includes(role));
  const rows = (await people.execute()).map(fromObjectRow).filter(decides);
  return new Set(rows.flatMap(({ manifest }) => (manifest.kind === 'Person' ? manifest.email : [])));
}

/**
 * Called in every transaction that may take this from somebody, before it does.
 * INVARIANT: nobody gets rid of the others and is alone in the same moment: who decided is known for as long as that matters.
 */
export async function rememberDeciders(transaction: DatabaseTransaction, now: number, only?: string): Promise<void> {
  for (const person of await decidersIn(transaction, only))
    await transaction
      .insertInto('former_deciders')
      .values({ person, until: now })
      .onConflict((conflict) => conflict.column('person').doUpdateSet({ until: now }))
      .execute();
}
