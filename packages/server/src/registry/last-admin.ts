import type { PersonManifest, RoleMappingManifest } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import type { DatabaseTransaction } from '../storage/index.ts';
import type { Context } from './context.ts';
import { knownPerson, type StoredPerson } from './known-people.ts';
import { fromObjectRow, type StoredObject } from './objects.ts';

/**
 * Called in the transaction of every change that may have taken the last admin away, with whether there was one before. A change that
 * leaves nobody is refused. One that `stands` is what the directory or an identity provider says: who has left the company must not stay
 * in for being the last one. It is on record and in the log, and the operator of the server's host makes a new admin.
 */
export async function keepAnAdmin(
  { recordChange, log }: Pick<Context, 'recordChange' | 'log'>,
  transaction: DatabaseTransaction,
  { had, by, stands }: { had: boolean; by: string; stands: boolean },
): Promise<void> {
  if (!had || hasAdmin(await readPeople(transaction))) return;
  if (!stands)
    throw new GatehouseError(
      'conflict',
      'people.last-admin',
      'Nobody would be left with the role admin. Give it to another person first.',
    );
  const remedy =
    'On the server’s host, apply a Person with the role admin and make a link: gatehouse signin-link EMAIL';
  await recordChange(transaction, {
    operation: 'people.no-admin',
    by,
    changes: ['nobody has the role admin any more'],
    detail: remedy,
  });
  log.error('nobody has the role admin any more', { by, remedy });
}

/** Whether one person of these has the role now. */
export function hasAdmin(stored: Iterable<StoredObject>): boolean {
  const people: StoredPerson[] = [];
  const mappings: RoleMappingManifest[] = [];
  for (const { manifest, person } of stored) {
    if (manifest.kind === 'RoleMapping') mappings.push(manifest);
    if (manifest.kind === 'Person') people.push({ manifest, ...(person && { person }) });
  }
  return people.some((person) => isAdmin(person, mappings));
}

/** Whether this person, as stored, has it by the mappings of this transaction. */
export async function wasAdmin(
  transaction: DatabaseTransaction,
  person: { manifest: PersonManifest; person: StoredPerson['person'] },
): Promise<boolean> {
  const rows = await transaction.selectFrom('objects').select('body').where('kind', '=', 'RoleMapping').execute();
  const mappings = rows.map((row) => fromObjectRow(row).manifest as RoleMappingManifest);
  return isAdmin({ manifest: person.manifest, ...(person.person && { person: person.person }) }, mappings);
}

const isAdmin = (person: StoredPerson, mappings: RoleMappingManifest[]) =>
  knownPerson(person, mappings).roles.includes('admin');

async function readPeople(transaction: DatabaseTransaction): Promise<StoredObject[]> {
  const rows = await transaction
    .selectFrom('objects')
    .select('body')
    .where('kind', 'in', ['Person', 'RoleMapping'])
    .execute();
  return rows.map(fromObjectRow);
}
