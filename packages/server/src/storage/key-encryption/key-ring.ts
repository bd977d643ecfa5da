import { randomBytes } from 'node:crypto';
import { type Clock, GatehouseError } from '../../platform/index.ts';
import { sealedColumns } from '../sealed-columns.ts';
import { type KeyEncryptionKey, type KeyEncryptionKeys, keyEncryptionKey, rewrap, sealedWith } from '../sealer.ts';
import type { DatabaseTransaction, Storage } from '../storage.ts';
import { keySource } from './source.ts';
import type { KeySource } from './types.ts';

export interface HeldKey extends KeyEncryptionKey {
  /** Where it came from, without anything secret. */
  source: string;
}

/** `retiring`: what it sealed is being sealed anew. `held`: may become current. `retired`: seals nothing any more. */
export type KeyEncryptionState = 'current' | 'held' | 'retiring' | 'retired';

export interface KeyRing extends KeyEncryptionKeys {
  held(): readonly HeldKey[];
  /** Reads again which key is current. Throws when this process does not hold it: then it must not go on. */
  refresh(): Promise<void>;
  list(): Promise<{ id: string; source: string; state: KeyEncryptionState; createdAt: number; held: boolean }[]>;
  /** By id or specification; the first that was configured when nothing is named. */
  find(named: string | undefined): HeldKey;
  /** Keys that this start has entered into the database, for the record, which could not be written before they were there. */
  readonly added: readonly HeldKey[];
}

interface RingDependencies {
  storage: Storage;
  clock: Clock;
  dataDir: string;
  environment: Record<string, string | undefined>;
  /** What `--key-encryption` names; the first is preferred. */
  specs: readonly string[];
}

/**
 * Opens every key-encryption key that is named, and finds the one that the database is sealed with. Refuses to start with a precise
 * error when it is not among them, and leaves the database as it was. Errors: `key-encryption.unavailable` (a source does not
 * answer), `key-encryption.missing` (another key is needed), `key-encryption.spec`, `key-encryption.damaged`.
 */
export async function openKeyRing(dependencies: RingDependencies): Promise<KeyRing> {
  const { storage, clock } = dependencies;
  const opened: { spec: string; held: HeldKey; wrapped: string | null; isNew: boolean }[] = [];
  const rows = await storage.db.selectFrom('key_encryption_keys').selectAll().execute();
  for (const spec of dependencies.specs) {
    const source = keySource(spec, dependencies);
    const { key, wrapped } = await keyOf(source, rows);
    opened.push({
      spec,
      held: { ...keyEncryptionKey(key), source: source.name },
      wrapped,
      isNew: false,
    });
  }
  const held = opened.map((each) => each.held);
  const sample = rows.some((row) => row.state === 'current') ? undefined : await anySealed(storage);
  const first = sample === undefined ? held[0] : held.find((each) => opens(each, sample));
  const given = held.map(({ id, source }) => `${id} (${source})`).join(', ');
  const lacks = (what: string) =>
    new GatehouseError(
      'conflict',
      'key-encryption.missing',
      `The database is sealed with the key-encryption key ${what}; this server has ${given}. Start it with --key-encryption naming that key as well. To change to another key, name both and run gatehouse keys rewrap.`,
    );

  for (const row of rows)
    if ((row.state === 'current' || row.state === 'retiring') && !held.some(({ id }) => id === row.id))
      throw lacks(`${row.id} (${row.source})`);
  if (!first) throw lacks('that it was made with, another one');

  const added: HeldKey[] = [];
  let current = await storage.transaction(async (transaction) => {
    added.length = 0;
    for (const { held: each, wrapped } of opened) {
      const known = await transaction
        .selectFrom('key_encryption_keys')
        .select('id')
        .where('id', '=', each.id)
        .executeTakeFirst();
      if (known) continue;
      await refuseSecondOf(transaction, each, wrapped);
      const row = { id: each.id, source: each.source, wrapped, state: 'held', created_at: clock.now() };
      await transaction.insertInto('key_encryption_keys').values(row).execute();
      added.push(each);
    }
    const standing = await currentIn(transaction);
    if (standing !== undefined) return standing;
    await transaction.updateTable('key_encryption_keys').set({ state: 'current' }).where('id', '=', first.id).execute();
    return first.id;
  });

  const holding = (id: string): HeldKey => {
    const found = held.find((each) => each.id === id);
    if (!found) throw lacks(id);
    return found;
  };
  holding(current);

  return {
    current: () => holding(current),
    held: () => held,
    added,
    async refresh() {
      const id = await currentIn(storage.db);
      if (id === undefined) return;
      holding(id);
      current = id;
    },
    async list() {
      const all = await storage.db.selectFrom('key_encryption_keys').selectAll().orderBy('created_at').execute();
      return all.map(({ id, source, state, created_at }) => ({
        id,
        source,
        state: state as KeyEncryptionState,
        createdAt: created_at,
        held: held.some((each) => each.id === id),
      }));
    },
    find(named) {
      const found =
        named === undefined
          ? held[0]
          : opened.find(({ spec, held: each }) => [spec, each.id, each.source].includes(named))?.held;
      if (found) return found;
      throw new GatehouseError(
        'bad-request',
        'key-encryption.unknown',
        `This server does not hold that key-encryption key; it has ${given}. Name the new one in its --key-encryption, restart it, and try again.`,
      );
    },
  };
}

export interface KeyRow {
  id: string;
  source: string;
  wrapped: string | null;
  state: string;
}
type Row = KeyRow;

/**
 * Whether a database whose keys are `rows` could be opened with these sources and keys: asked before such a database is put
 * anywhere. Throws as `openKeyRing` does, and makes nothing.
 */
export async function requireKeys(
  rows: readonly KeyRow[],
  given: { specs: readonly string[]; keys: readonly Uint8Array[]; environment: Record<string, string | undefined> },
): Promise<void> {
  const ids = given.keys.map((key) => keyEncryptionKey(key).id);
  for (const spec of given.specs) {
    const source = keySource(spec, { environment: given.environment, dataDir: '' });
    // A service that has wrapped none of these keys is not asked to make another one.
    if (source.kind === 'remote' && !rows.some((row) => row.source === source.name && row.wrapped !== null)) continue;
    ids.push(keyEncryptionKey((await keyOf(source, rows)).key).id);
  }
  const lacking = rows.find(({ id, state }) => (state === 'current' || state === 'retiring') && !ids.includes(id));
  if (!lacking) return;
  const had = ids.length === 0 ? 'none was given' : `those that were given are ${ids.join(', ')}`;
  throw new GatehouseError(
    'conflict',
    'key-encryption.missing',
    `The database is sealed with the key-encryption key ${lacking.id} (it came from ${lacking.source}); ${had}. Name its source with --key-encryption.`,
  );
}

async function keyOf(source: KeySource, rows: readonly Row[]): Promise<{ key: Uint8Array; wrapped: string | null }> {
  if (source.kind === 'local') return { key: await source.read(), wrapped: null };
  const row = rows.find((each) => each.source === source.name && each.wrapped !== null && each.state !== 'retired');
  if (row?.wrapped) {
    const key = await source.unwrap(row.wrapped);
    // A service that answers with other bytes than it was given is not believed.
    if (key.byteLength !== 32 || keyEncryptionKey(key).id !== row.id)
      throw new GatehouseError(
        'unavailable',
        'key-encryption.unavailable',
        `${source.name} gave another key than ${row.id}, which it had wrapped. Check that it is the same service and key as before.`,
      );
    return { key, wrapped: row.wrapped };
  }
  const key = new Uint8Array(randomBytes(32));
  const wrapped = await source.wrap(key);
  // Never relied on before it was seen to come back: whatever is sealed with it would be lost.
  if (!Buffer.from(await source.unwrap(wrapped)).equals(key))
    throw new GatehouseError(
      'unavailable',
      'key-encryption.unavailable',
      `${source.name} does not give back what it has wrapped, so it is not used. Check its key.`,
    );
  return { key, wrapped };
}

/** Two replicas that start for the first time at once would each make a key; one of them has to ask again. */
async function refuseSecondOf(transaction: DatabaseTransaction, { source }: HeldKey, wrapped: string | null) {
  if (wrapped === null) return;
  const other = await transaction
    .selectFrom('key_encryption_keys')
    .select('id')
    .where('source', '=', source)
    .where('wrapped', 'is not', null)
    .where('state', '!=', 'retired')
    .executeTakeFirst();
  if (!other) return;
  throw new GatehouseError(
    'conflict',
    'key-encryption.raced',
    'Another replica has just made the key-encryption key. Start this one again.',
  );
}

async function currentIn(db: Pick<Storage['db'], 'selectFrom'>): Promise<string | undefined> {
  const row = await db.selectFrom('key_encryption_keys').select('id').where('state', '=', 'current').executeTakeFirst();
  return row?.id;
}

interface Sample {
  sealed: Uint8Array;
  context: string | undefined;
}

/** A sealed value of a database that does not say yet which key it is sealed with. */
async function anySealed(storage: Storage): Promise<Sample | undefined> {
  for (const { table, column, key, version1Context } of sealedColumns) {
    const row = await storage.db
      .selectFrom(table as 'secrets')
      .select([key as 'name', column as 'sealed'])
      .where(column as 'sealed', 'is not', null)
      .executeTakeFirst();
    if (row) return { sealed: row[column as 'sealed'], context: version1Context?.(row) };
  }
  return undefined;
}

/** By wrapping it anew for a key that is thrown away: only the key that it is sealed with can begin that. */
function opens(key: KeyEncryptionKey, { sealed, context }: Sample): boolean {
  if (sealedWith(sealed) === key.id) return true;
  const other = keyEncryptionKey(randomBytes(32));
  try {
    return rewrap(sealed, { current: () => other, held: () => [key] }, context) !== undefined;
  } catch {
    return false;
  }
}
