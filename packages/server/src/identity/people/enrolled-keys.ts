import { createHash } from 'node:crypto';
import type { ActionRecord } from '@gatehouse/protocol';
import { canonicalJson, digestJson, type Json, type Log } from '../../platform/index.ts';
import {
  type DatabaseTransaction,
  type RecordChange,
  rowSealProblem,
  type Sealer,
  type Storage,
  sealOnce,
  sealRow,
  type Tables,
} from '../../storage/index.ts';
import { isPasskeyIntact } from './seals.ts';
import { publicKeyJwk } from './webauthn.ts';

type Row = Tables['enrolled_keys'];

const KNOWN = 10_000;

const idOf = (person: string, key: string): string =>
  createHash('sha256').update(canonicalJson({ person, key })).digest('hex');

const content = ({ person, key, at }: Omit<Row, 'seal'>): Json => ({ v: 1, person, key, at });

/** In the transaction of the enrolment. `key`: digest of the public key as a JWK, as the record `passkey.enrol` has it. Rows are never removed. */
export async function noteKey(
  transaction: DatabaseTransaction,
  sealer: Sealer,
  { person, key, at }: { person: string; key: string; at: number },
): Promise<void> {
  const row = { id: idOf(person, key), person, key, at };
  const seal = sealRow(sealer, 'enrolled_keys', row.id, content(row));
  await transaction
    .insertInto('enrolled_keys')
    .values({ ...row, seal })
    // What stands there in the place of a key that is enrolled now was written by somebody else.
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ person, key, at, seal }))
    .execute();
}

/** Whether a key was ever a person's, whatever has become of the passkey: a yes counts for as long as it lasts, and is audited for longer. */
export function createEnrolledKeys({ storage, sealer }: { storage: Pick<Storage, 'db'>; sealer: Sealer }) {
  // None is ever taken back: what was found once holds.
  const known = new Set<string>();
  return {
    async wasEnrolled(person: string, publicKey: Json): Promise<boolean> {
      const id = idOf(person, digestJson(publicKey));
      if (known.has(id)) return true;
      const row = await storage.db.selectFrom('enrolled_keys').selectAll().where('id', '=', id).executeTakeFirst();
      if (!row || idOf(row.person, row.key) !== id) return false;
      if (rowSealProblem(sealer, 'enrolled_keys', id, content(row), row.seal) !== null) return false;
      if (known.size >= KNOWN) known.clear();
      known.add(id);
      return true;
    },
  };
}

/** The passkeys that there are, and of those who have said yes also what the records of their enrolments name. */
export async function noteKeysOfBefore({
  sealer,
  ...house
}: {
  storage: Pick<Storage, 'db' | 'transaction'>;
  sealer: Sealer;
  recordChange: RecordChange;
  log: Log;
}): Promise<void> {
  await sealOnce(house, {
    what: 'enrolled-keys',
    operation: 'passkey.keys',
    async seal(transaction) {
      const found: { person: string; key: string; at: number }[] = [];
      for (const row of await transaction.selectFrom('passkeys').selectAll().execute())
        if (isPasskeyIntact(sealer, row))
          found.push({ person: row.person, key: digestJson(publicKeyJwk(row.public_key)), at: row.created_at });
      for (const person of await voters(transaction)) {
        const enrolments = await transaction
          .selectFrom('records')
          .select(['entry', 'at'])
          .where('person', '=', `person:${person}`)
          .where('operation', '=', 'passkey.enrol')
          .execute();
        for (const { entry, at } of enrolments) for (const key of keysIn(entry)) found.push({ person, key, at });
      }
      for (const each of found) await noteKey(transaction, sealer, each);
      return [...new Set(found.map(({ person, key }) => `key ${key} of ${person} noted`))];
    },
  });
}

async function voters(transaction: DatabaseTransaction): Promise<ReadonlySet<string>> {
  const votes = await transaction.selectFrom('approval_votes').select('person').distinct().execute();
  const signed = await transaction.selectFrom('break_glass').select(['first_by', 'second_by']).execute();
  const all = [...votes.map(({ person }) => person), ...signed.flatMap((row) => [row.first_by, row.second_by])];
  return new Set(all.filter((person) => person !== null));
}

/** A record whose content is gone names none. */
function keysIn(entry: string): string[] {
  if (!entry.startsWith('{')) return [];
  const { changes } = JSON.parse(entry) as ActionRecord;
  return changes.filter((line) => line.startsWith('key ')).map((line) => line.slice('key '.length));
}
