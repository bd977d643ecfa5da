import { existsSync } from 'node:fs';
import { link, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { GatehouseError, type Secret } from '../platform/index.ts';
import { postgresClient } from '../storage/index.ts';
import { type PartSource, writeArchive } from './archive.ts';
import { type Query, readFacts } from './facts.ts';
import { keyFilesOf, sealKeyFiles } from './key-files.ts';
import { backupLimits } from './limits.ts';
import { dump } from './postgres-tools.ts';
import type { BackupManifest, Progress } from './types.ts';

export interface BackupOptions {
  file: string;
  /** `sqlite` (in dataDir) or a `postgres://` URL. */
  database: string;
  dataDir: string;
  version: string;
  trustDomain: string | null;
  /** Seals the key-encryption keys of the data directory into the backup; without it they stay out. */
  passphrase?: Secret | undefined;
  onProgress?: Progress;
  now: number;
}

/**
 * Copies the whole workspace, of one moment, while servers go on: in a process of its own, on a connection of its own, without
 * taking a turn of the writer. The copy holds no free pages, where deleted secrets could linger.
 * Errors: `backup.exists`, `backup.no-database`, `backup.passphrase-short`, `backup.no-key-files`, `backup.no-postgres-tools`.
 */
export async function backUp(
  options: BackupOptions,
): Promise<{ digest: string; size: number; manifest: BackupManifest }> {
  const { file, database, dataDir, passphrase, onProgress = () => undefined } = options;
  if (existsSync(file)) throw exists(file);
  if (passphrase && passphrase.reveal().length < backupLimits.passphraseChars)
    throw new GatehouseError(
      'bad-request',
      'backup.passphrase-short',
      `The passphrase has fewer than ${backupLimits.passphraseChars} characters.`,
    );
  // Beside the backup, where there is room for it, for this user only.
  const scratch = await mkdtemp(join(dirname(file), '.gatehouse-backup-'));
  try {
    const copy = join(scratch, 'database');
    onProgress('copying the database …');
    const facts = await (database === 'sqlite' ? copySqlite(dataDir, copy) : copyPostgres(database, copy));
    const sources: PartSource[] = [{ name: 'database', file: copy }];
    if (passphrase) {
      const ids = facts.keyEncryption.map(({ id }) => id);
      const keys = join(scratch, 'keys');
      await writeFile(keys, await sealKeyFiles(keyFilesOf(dataDir, ids), passphrase), { mode: 0o600 });
      sources.push({ name: 'keys', file: keys });
    }
    const { version, trustDomain, now } = options;
    const dialect = database === 'sqlite' ? ('sqlite' as const) : ('postgres' as const);
    const archive = join(scratch, 'archive');
    const written = await writeArchive(
      archive,
      { format: 1, version, createdAt: now, dialect, trustDomain, ...facts },
      sources,
      onProgress,
    );
    // Whole under its name or not there, and never over another file.
    await link(archive, file).catch((cause: NodeJS.ErrnoException) => {
      throw cause.code === 'EEXIST' ? exists(file) : cause;
    });
    return written;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const exists = (file: string) =>
  new GatehouseError('conflict', 'backup.exists', `${file} is there already. Name another file.`);

async function copySqlite(dataDir: string, copy: string) {
  const file = join(dataDir, 'gatehouse.db');
  if (!existsSync(file))
    throw new GatehouseError(
      'not-found',
      'backup.no-database',
      `${dataDir} has no database. Name the data directory of the server with --data-dir, or its PostgreSQL with --database.`,
    );
  const original = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
  try {
    original.prepare('vacuum into ?').run(copy);
  } finally {
    original.close();
  }
  const copied = new DatabaseSync(copy, { readOnly: true });
  try {
    const query: Query = async (sql, ...parameters) => copied.prepare(sql).all(...parameters);
    return await readFacts(query);
  } finally {
    copied.close();
  }
}

/**
 * A serialisable snapshot that no order of the transactions contradicts (`deferrable` waits for one), exported to pg_dump, which
 * then needs no option of its own for that: manifest and dump are of the same moment.
 */
async function copyPostgres(url: string, copy: string) {
  const client = postgresClient(url);
  await client.connect();
  try {
    await client.query('begin isolation level serializable read only deferrable');
    const { rows } = await client.query('select pg_export_snapshot() as id');
    const facts = await readFacts(async (sql, ...parameters) => {
      let at = 0;
      const numbered = sql.replaceAll('?', () => `$${++at}`);
      return (await client.query(numbered, parameters)).rows;
    });
    await dump(url, rows[0].id as string, copy);
    return facts;
  } finally {
    await client.end();
  }
}
