import { randomBytes } from 'node:crypto';
import { createWriteStream, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { closeLogs, openLedger } from '../ledger/index.ts';
import { type Clock, GatehouseError, type Log, type Secret } from '../platform/index.ts';
import {
  createSealer,
  keyEncryptionKeyOf,
  openKeyRing,
  openStorage,
  postgresClient,
  RESTORE_MARK,
  requireKeys,
} from '../storage/index.ts';
import { type Archive, openArchive } from './archive.ts';
import { type KeyFiles, openKeyFiles } from './key-files.ts';
import { load } from './postgres-tools.ts';
import { type Settled, settleRestored } from './settle.ts';
import type { BackupManifest, Progress } from './types.ts';

export interface RestoreOptions {
  file: string;
  /** `sqlite` (into dataDir, which must not be there or be empty) or the URL of an empty PostgreSQL database. */
  database: string;
  /** With PostgreSQL: where the key files of the backup go, if it has any. */
  dataDir?: string | undefined;
  /** Of the manifest, from elsewhere than the file. */
  digest?: string | undefined;
  /** `--key-encryption` of the server. */
  keyEncryption: readonly string[];
  environment: Record<string, string | undefined>;
  passphrase?: Secret | undefined;
  /** Agents that were active stay so, for this reason. Without one all are suspended. */
  activate?: string | undefined;
  by: string;
  clock: Clock;
  log: Log;
  onProgress?: Progress;
}

export interface Restored extends Settled {
  /** Stands at the end of the name of every log from here on. */
  id: string;
  manifest: BackupManifest;
  logs: { log: string; size: number }[];
  keyFiles: string[];
}

/**
 * Makes a workspace out of a backup: all of it or nothing, and nothing over something. What had been given out before is worth
 * nothing in it, the old logs are closed, and a new one begins with `workspace.restore`.
 * Errors: `backup.damaged`, `backup.format`, `backup.other-digest`, `backup.dialect`, `backup.passphrase`, `backup.target`,
 * `key-encryption.*`, `storage.newer-schema`, `backup.log-broken`, `backup.no-postgres-tools`.
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { file, database, dataDir, onProgress = () => undefined } = options;
  const dialect = database === 'sqlite' ? 'sqlite' : 'postgres';
  if (dialect === 'sqlite' && dataDir === undefined)
    throw new GatehouseError('bad-request', 'backup.target', 'Name the new data directory.');
  if (dataDir !== undefined) refuseFull(dataDir);
  const archive = await openArchive(file, onProgress);
  const { manifest } = archive;
  if (options.digest !== undefined && options.digest !== archive.digest)
    throw new GatehouseError(
      'bad-request',
      'backup.other-digest',
      `The digest of the backup is ${archive.digest}, not the one that was given. Nothing was restored.`,
    );
  if (manifest.dialect !== dialect)
    throw new GatehouseError(
      'bad-request',
      'backup.dialect',
      manifest.dialect === 'sqlite'
        ? 'The backup is of an embedded database. Restore it with --data-dir, without --database.'
        : 'The backup is of a PostgreSQL database. Name an empty one with --database.',
    );
  const keyFiles = await keyFilesOf(archive, options);
  await requireKeys(manifest.keyEncryption, {
    specs: options.keyEncryption,
    keys: Object.values(keyFiles).flatMap((each) => keyEncryptionKeyOf(each)?.key ?? []),
    environment: options.environment,
  });
  const into = { ...options, archive, keyFiles, onProgress };
  return dialect === 'sqlite' ? intoDirectory(into) : intoPostgres(into);
}

interface Into extends RestoreOptions {
  archive: Archive;
  keyFiles: KeyFiles;
  onProgress: Progress;
}

async function keyFilesOf(archive: Archive, { passphrase, database, dataDir }: RestoreOptions): Promise<KeyFiles> {
  const part = archive.part('keys');
  if (!part || !passphrase) {
    part?.destroy();
    if (passphrase)
      throw new GatehouseError('bad-request', 'backup.passphrase', 'The backup has no key files: give no passphrase.');
    return {};
  }
  if (database !== 'sqlite' && dataDir === undefined)
    throw new GatehouseError(
      'bad-request',
      'backup.target',
      'Name a new data directory with --data-dir, for the key files of the backup.',
    );
  return openKeyFiles(await text(part), passphrase);
}

/** In a directory beside, which takes its name when everything is done. */
async function intoDirectory(into: Into): Promise<Restored> {
  return inNewDirectory(into.dataDir as string, async (scratch) => {
    into.onProgress('writing the database …');
    const file = join(scratch, 'gatehouse.db');
    await pipeline(partOf(into.archive), createWriteStream(file, { mode: 0o600, flags: 'wx', flush: true }));
    await writeKeys(scratch, into.keyFiles);
    return revive(into, scratch);
  });
}

async function inNewDirectory<T>(dataDir: string, work: (scratch: string) => Promise<T>): Promise<T> {
  await mkdir(dirname(dataDir), { recursive: true, mode: 0o700 });
  const scratch = await mkdtemp(join(dirname(dataDir), `.${basename(dataDir)}.restoring-`));
  try {
    const result = await work(scratch);
    refuseFull(dataDir);
    await rename(scratch, dataDir);
    await syncDirectory(dirname(dataDir));
    return result;
  } catch (error) {
    await rm(scratch, { recursive: true, force: true });
    throw error;
  }
}

async function intoPostgres(into: Into): Promise<Restored> {
  const { database, dataDir, keyFiles } = into;
  if (Object.keys(keyFiles).length > 0 && dataDir !== undefined)
    return inNewDirectory(dataDir, async (scratch) => {
      await writeKeys(scratch, keyFiles);
      return withMark(database, () => revivePostgres(into, scratch));
    });
  const scratch = await mkdtemp(join(dirname(into.file), '.gatehouse-restore-'));
  try {
    return await withMark(database, () => revivePostgres(into, scratch));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function revivePostgres(into: Into, scratch: string): Promise<Restored> {
  into.onProgress('loading the database …');
  await load(into.database, partOf(into.archive));
  return revive(into, scratch);
}

/** A server refuses the database while the mark is there; it goes with the last step, or with everything that was loaded. */
async function withMark<T>(database: string, work: () => Promise<T>): Promise<T> {
  const client = postgresClient(database);
  await client.connect();
  try {
    const tables = 'select count(*)::int as count from pg_tables where schemaname = current_schema()';
    const { rows } = await client.query(tables);
    if (rows[0].count > 0)
      throw new GatehouseError(
        'conflict',
        'backup.target',
        'The database is not empty, and a restore writes over nothing. Create a new one.',
      );
    await client.query(`create table ${RESTORE_MARK} (since timestamptz not null default now())`);
    try {
      const result = await work();
      await client.query(`drop table ${RESTORE_MARK}`);
      return result;
    } catch (error) {
      // It was empty, and while the mark stood nobody else has put anything here.
      const loaded = await client.query('select tablename from pg_tables where schemaname = current_schema()');
      const names = loaded.rows.map(({ tablename }) => client.escapeIdentifier(tablename as string));
      if (names.length > 0) await client.query(`drop table ${names.join(', ')} cascade`);
      throw error;
    }
  } finally {
    await client.end();
  }
}

/** Opens what was put there as a server would, and makes it safe. */
async function revive(into: Into, dataDir: string): Promise<Restored> {
  const { archive, database, clock, log, by, activate } = into;
  const { manifest } = archive;
  const id = randomBytes(6).toString('hex');
  const storage = await openStorage({ database, dataDir, log, clock, restoring: true });
  try {
    const inPlace = Object.keys(into.keyFiles).map((name) => `file:${join(dataDir, 'keys', name)}`);
    const specs = [...inPlace, ...into.keyEncryption];
    const ring = await openKeyRing({ storage, clock, dataDir, environment: into.environment, specs });
    const sealer = createSealer(ring);
    into.onProgress('verifying the logs …');
    const closed = await closeLogs({ storage, sealer, clock }, id);
    const ledger = await openLedger({
      ...{ storage, sealer, clock, log },
      replica: 'restore',
      origin: manifest.logs[0]?.id.split('/log/')[0] ?? 'gatehouse',
      first: {
        operation: 'workspace.restore',
        by,
        changes: [
          `from the backup ${archive.digest} of ${new Date(manifest.createdAt).toISOString()}, made by version ${manifest.version}`,
          ...closed.map(
            ({ log: each, size, checkpoint }) => `log ${each} closed at ${size} records, root ${rootOf(checkpoint)}`,
          ),
          activate === undefined ? 'every active agent is suspended' : 'agents stay active',
        ],
        ...(activate !== undefined && { detail: activate }),
      },
    });
    try {
      for (const { log: each } of closed) await ledger.closeUnknown(each);
      into.onProgress('ending what was given out before …');
      const deps = { storage, sealer, ledger, recordChange: ledger.recordChange, clock };
      const settled = await settleRestored(deps, { by, keepsActive: activate !== undefined });
      const logs = closed.map(({ log: each, size }) => ({ log: each, size }));
      return { ...settled, id, manifest, logs, keyFiles: Object.keys(into.keyFiles) };
    } finally {
      await ledger.close();
    }
  } finally {
    await storage.close();
  }
}

/** Third line of a checkpoint (C2SP tlog-checkpoint). */
const rootOf = (checkpoint: string) => checkpoint.split('\n')[2] ?? '';

function partOf(archive: Archive) {
  const part = archive.part('database');
  if (part) return part;
  throw new GatehouseError('bad-request', 'backup.damaged', 'The backup has no database. Nothing was restored.');
}

async function writeKeys(dataDir: string, files: KeyFiles): Promise<void> {
  await mkdir(join(dataDir, 'keys'), { mode: 0o700 });
  for (const [name, content] of Object.entries(files))
    await writeFile(join(dataDir, 'keys', basename(name)), content, { mode: 0o600, flag: 'wx', flush: true });
}

function refuseFull(dataDir: string): void {
  let entries: string[];
  try {
    entries = readdirSync(dataDir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (entries.length > 0)
    throw new GatehouseError(
      'conflict',
      'backup.target',
      `${dataDir} is not empty, and a restore writes over nothing. Name a new directory.`,
    );
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  await directory.sync().finally(() => directory.close());
}
