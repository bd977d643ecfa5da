import type { GroupManifest, Manifest, PolicyVersionView, ToolServerManifest } from '@gatehouse/protocol';
import { canonicalJson, GatehouseError } from '../platform/index.ts';
import type { Database, DatabaseTransaction, Tables } from '../storage/index.ts';
import { inChunks } from './chunks.ts';
import { fromObjectRow, keyOf, splitKey } from './objects.ts';

/** Kinds of manifests of which policies are made. Going back to a version is about these, and nothing else. */
const decidingKinds: readonly string[] = [
  'ToolServer',
  'Template',
  'Group',
  'Policy',
  'Budget',
  'Calendar',
  'ApprovalRule',
];

/** What goes with a change of what decides, for whoever looks for it later. */
export interface VersionNote {
  note?: string;
  /** Who shipped it, where that had to be said. */
  approvedBy?: string;
  proposal?: number;
  rollbackTo?: number;
}

/** The part of a manifest that decides: not where a server is, and not who is in a group, which others say. */
export function decidingPart(manifest: Manifest): object {
  if (manifest.kind === 'ToolServer') {
    const { transport: _at, environments: _in, stateless: _how, description: _what, ...deciding } = manifest;
    return deciding;
  }
  if (manifest.kind === 'Group') return { kind: manifest.kind, name: manifest.name, allow: manifest.allow };
  return manifest;
}

/**
 * Keeps the state after a change as a version, where it decides otherwise than the one before or is made of something else. `keys`: the
 * objects that the transaction has written.
 */
export async function keepVersion(
  transaction: DatabaseTransaction,
  {
    policyVersion,
    keys,
    by,
    at,
    changes,
    version = {},
  }: {
    policyVersion: string;
    keys: Iterable<string>;
    by: string;
    at: number;
    changes: readonly string[];
    version?: VersionNote | undefined;
  },
): Promise<number | null> {
  const last = await newestVersion(transaction);
  const written = last ? [...keys].filter((key) => decidingKinds.includes(splitKey(key).kind)) : null;
  if (written?.length === 0 && last?.policy_version === policyVersion) return null;
  // One at a time, on whichever replicas: numbers have no gaps and no twins.
  await transaction
    .insertInto('meta')
    .values({ key: 'policy-versions', value: '' })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: '' }))
    .execute();
  const now = await readObjects(transaction, written);
  const before = await readKept(transaction, written);
  const changed = [...new Set([...now.keys(), ...before.keys()])].filter((key) => now.get(key) !== before.get(key));
  if (changed.length === 0 && last?.policy_version === policyVersion) return null;
  const number = (last?.number ?? 0) + 1;
  await transaction
    .insertInto('policy_versions')
    .values({
      number,
      policy_version: policyVersion,
      at,
      by,
      approved_by: version.approvedBy ?? null,
      proposal: version.proposal ?? null,
      rollback_to: version.rollbackTo ?? null,
      note: version.note ?? '',
      changes: JSON.stringify(changes),
    })
    .execute();
  for (const some of chunksOf(changed.filter((key) => before.has(key))))
    await transaction
      .updateTable('policy_objects')
      .set({ to_version: number })
      .where('to_version', 'is', null)
      .where((eb) =>
        eb.or(some.map(splitKey).map(({ kind, name }) => eb.and([eb('kind', '=', kind), eb('name', '=', name)]))),
      )
      .execute();
  const added = changed.flatMap((key) => {
    const body = now.get(key);
    return body === undefined ? [] : [{ ...splitKey(key), from_version: number, to_version: null, body }];
  });
  for (const some of chunksOf(added)) await transaction.insertInto('policy_objects').values(some).execute();
  return number;
}

/** A statement takes a limited number of parameters. */
function chunksOf<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / 200) }, (_, at) => all.slice(at * 200, (at + 1) * 200));
}

export function newestVersion(db: Database | DatabaseTransaction): Promise<Tables['policy_versions'] | undefined> {
  return db.selectFrom('policy_versions').selectAll().orderBy('number', 'desc').limit(1).executeTakeFirst();
}

/** Deciding parts of what is declared, by key; `keys` null: of all. */
async function readObjects(db: DatabaseTransaction, keys: readonly string[] | null): Promise<Map<string, string>> {
  const select = db.selectFrom('objects').select('body');
  const rows =
    keys === null
      ? await select.where('kind', 'in', [...decidingKinds]).execute()
      : await inChunks(keys, (some) =>
          select
            .where((eb) =>
              eb.or(some.map(splitKey).map(({ kind, name }) => eb.and([eb('kind', '=', kind), eb('name', '=', name)]))),
            )
            .execute(),
        );
  return new Map(
    rows.map(fromObjectRow).map(({ manifest }) => [keyOf(manifest), canonicalJson(decidingPart(manifest))]),
  );
}

async function readKept(db: DatabaseTransaction, keys: readonly string[] | null): Promise<Map<string, string>> {
  const select = db.selectFrom('policy_objects').select(['kind', 'name', 'body']).where('to_version', 'is', null);
  const rows =
    keys === null
      ? await select.execute()
      : await inChunks(keys, (some) =>
          select
            .where((eb) =>
              eb.or(some.map(splitKey).map(({ kind, name }) => eb.and([eb('kind', '=', kind), eb('name', '=', name)]))),
            )
            .execute(),
        );
  return new Map(rows.map(({ kind, name, body }) => [`${kind}/${name}`, body]));
}

/** What a version was made of: of each manifest the part that decides. */
export async function objectsOfVersion(db: Database | DatabaseTransaction, number: number): Promise<Manifest[]> {
  const rows = await db
    .selectFrom('policy_objects')
    .select('body')
    .where('from_version', '<=', number)
    .where(({ or, eb }) => or([eb('to_version', 'is', null), eb('to_version', '>', number)]))
    .orderBy('kind')
    .orderBy('name')
    .execute();
  return rows.map(({ body }) => JSON.parse(body) as Manifest);
}

/** What an apply needs to go back to a version: of the kinds that decide, and nothing of what is not about deciding. */
export async function manifestsOfVersion(
  db: Database,
  number: number,
): Promise<{ manifests: Manifest[]; remove: string[]; notes: string[] }> {
  await readVersion(db, number);
  const rows = await db
    .selectFrom('objects')
    .select('body')
    .where('kind', 'in', [...decidingKinds])
    .execute();
  const now = new Map(rows.map(fromObjectRow).map(({ manifest }) => [keyOf(manifest), manifest as Manifest]));
  const then = new Map((await objectsOfVersion(db, number)).map((manifest) => [keyOf(manifest), manifest]));
  const manifests: Manifest[] = [];
  const remove: string[] = [];
  const notes: string[] = [];
  for (const [key, part] of then) {
    const current = now.get(key);
    if (part.kind !== 'ToolServer' && part.kind !== 'Group') manifests.push(part);
    else if (current) manifests.push(withPart(current, part));
    else notes.push(`${part.kind} ${part.name} is not there any more, and is not brought back: apply its manifest.`);
  }
  for (const [key, manifest] of now) {
    if (then.has(key)) continue;
    // Others name these, so that they cannot go: they allow nothing instead.
    if (manifest.kind === 'Template' || manifest.kind === 'Group') {
      manifests.push({ ...manifest, allow: [] });
      notes.push(`${manifest.kind} ${manifest.name} was not there: it stays and allows nothing.`);
    } else if (manifest.kind === 'ToolServer')
      notes.push(`ToolServer ${manifest.name} was not there: it stays, with what is said of its tools now.`);
    else remove.push(key);
  }
  return { manifests, remove, notes };
}

function withPart(current: Manifest, part: Manifest): Manifest {
  if (part.kind === 'Group') return { ...(current as GroupManifest), allow: part.allow };
  const { transport, environments, stateless, description } = current as ToolServerManifest;
  const kept = { transport, environments, stateless, ...(description !== undefined && { description }) };
  return { ...(part as ToolServerManifest), ...kept };
}

export async function listVersions(
  db: Database,
  { before, limit }: { before?: number | undefined; limit: number },
): Promise<PolicyVersionView[]> {
  const newest = await newestVersion(db);
  let select = db.selectFrom('policy_versions').selectAll().orderBy('number', 'desc').limit(limit);
  if (before !== undefined) select = select.where('number', '<', before);
  return (await select.execute()).map((row) => viewOf(row, newest?.number));
}

export async function readVersion(db: Database, number: number): Promise<PolicyVersionView> {
  const newest = await newestVersion(db);
  const row = await db.selectFrom('policy_versions').selectAll().where('number', '=', number).executeTakeFirst();
  if (row) return viewOf(row, newest?.number);
  throw new GatehouseError(
    'not-found',
    'policy-version.unknown',
    `There is no version ${number} of the policies. \`gatehouse policy versions\` lists them${newest ? `; the newest is ${newest.number}` : ''}.`,
  );
}

const viewOf = (row: Tables['policy_versions'], newest: number | undefined): PolicyVersionView => ({
  number: row.number,
  policyVersion: row.policy_version,
  at: row.at,
  by: row.by,
  approvedBy: row.approved_by,
  proposal: row.proposal,
  rollbackTo: row.rollback_to,
  note: row.note,
  changes: JSON.parse(row.changes) as string[],
  current: row.number === newest,
});
