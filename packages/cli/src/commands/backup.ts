import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { CliFailure } from '../failure.ts';
import { clean, timeOf } from '../output.ts';
import { dataDirOf, operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';
import { VERSION } from '../version.ts';
import { keyEncryptionOf } from './start-settings.ts';

interface BackupOptions extends ServerOptions {
  database?: string;
  withKeys?: boolean;
  passphraseFile?: string;
  offline?: boolean;
}

export const backup: Run<BackupOptions> = async ({ args: [file = ''], options, out }) => {
  if ((options.withKeys === true) !== (options.passphraseFile !== undefined))
    throw new CliFailure(
      'usage',
      'backup.passphrase',
      '--with-keys needs --passphrase-file (- reads it from standard input), and the other way round.',
    );
  // What is written is for this user only, the copies on the way as well.
  process.umask(0o077);
  const { backUp } = await import('@gatehouse/server/backup');
  const passphrase = options.passphraseFile === undefined ? undefined : await passphraseOf(options.passphraseFile);
  const told = options.offline ? null : await announced(options);
  const { digest, size, manifest } = await backUp({
    file: resolve(file),
    database: databaseOf(options),
    dataDir: dataDirOf(options),
    version: told?.version ?? VERSION,
    trustDomain: told?.trustDomain ?? null,
    passphrase,
    now: Date.now(),
    onProgress: (what) => !out.json && out.note(what),
  });
  if (out.json) return out.printJson({ file: resolve(file), digest, size, manifest });
  out.facts([
    ['Backup', `${file}, ${Math.ceil(size / 1e6)} MB`],
    ['Digest', digest],
    ...manifest.logs.map((log): [string, string] => ['Log', `${log.id}, ${log.size} records`]),
  ]);
  if (!options.withKeys)
    out.note(
      `It can be restored only with ${sourcesOf(manifest.keyEncryption)}, which is not in it: keep that elsewhere, or back up --with-keys.`,
    );
};

interface RestoreOptions {
  dataDir?: string;
  database?: string;
  keyEncryption?: string[];
  passphraseFile?: string;
  digest?: string;
  activate?: string;
}

export const restore: Run<RestoreOptions> = async ({ args: [file = ''], options, out }) => {
  const database = databaseOf(options);
  // The default directory is the one that may be in use: where a workspace is put is said, not guessed.
  if (options.dataDir === undefined && database === 'sqlite')
    throw new CliFailure(
      'usage',
      'restore.target',
      'Name the new data directory with --data-dir, or an empty PostgreSQL database with --database.',
    );
  if (!existsSync(file)) throw new CliFailure('noInput', 'file.unreadable', `There is no file ${file}.`);
  if (options.activate?.trim() === '')
    throw new CliFailure('usage', 'restore.reason', '--activate needs the reason why agents may go on.');
  process.umask(0o077);
  const [{ restore: run }, { createLog }] = await Promise.all([
    import('@gatehouse/server/backup'),
    import('@gatehouse/server'),
  ]);
  const passphrase = options.passphraseFile === undefined ? undefined : await passphraseOf(options.passphraseFile);
  const { manifest, ...restored } = await run({
    file: resolve(file),
    database,
    dataDir: options.dataDir === undefined ? undefined : resolve(options.dataDir),
    keyEncryption: keyEncryptionOf(options).keyEncryption ?? [],
    environment: process.env,
    passphrase,
    digest: options.digest,
    activate: options.activate,
    by: 'operator',
    clock: { now: () => Date.now() },
    log: createLog('warn'),
    onProgress: (what) => !out.json && out.note(what),
  });
  if (out.json) return out.printJson({ ...restored, createdAt: manifest.createdAt });
  out.print(`Restored as of ${timeOf(manifest.createdAt)}. Nothing that was given out before is accepted.`);
  out.facts([
    ['Agents', `${restored.agents}, ${restored.suspended} of them suspended now`],
    ['Workloads', `${restored.workloads}, ${restored.suspendedWorkloads} of them suspended now`],
    [
      'Ended',
      `${restored.tasks} tasks, ${restored.delegations} delegations, ${restored.approvals} approvals, ${restored.sessions} sessions, ${restored.grants} codes, refresh tokens and consents`,
    ],
    [
      'Directory tokens',
      restored.directoryTokens > 0 ? `${restored.directoryTokens} removed: give the directory new ones` : null,
    ],
    ...restored.logs.map((each): [string, string] => ['Closed log', `${clean(each.log)}, ${each.size} records`]),
    [
      'Credentials',
      restored.leases > 0
        ? `${restored.leases} left to the original; once that is gone for good: gatehouse leases take-over`
        : null,
    ],
    ['New logs end in', `~${restored.id}`],
    [
      'X.509 authorities',
      restored.keptAuthorities ? 'kept, because their root is held elsewhere: import a new intermediate' : null,
    ],
    [
      'Keys that others trust',
      restored.trustedElsewhere.length > 0
        ? `${restored.trustedElsewhere.join(', ')}: as the original has them. To try a copy, keep it from these systems, or first: gatehouse keys rotate KEY --compromised`
        : null,
    ],
  ]);
  if (restored.keyFiles.length === 0)
    out.note('Start the server with the --key-encryption that was given here: the data directory has no key of it.');
  out.note(
    restored.suspended > 0
      ? 'Whether an agent was killed or a person left since the backup is not in it: look, then activate each with gatehouse agent activate.'
      : 'Agents that were killed since the backup are alive again unless you stop them now.',
  );
};

const sourcesOf = (keys: { source: string; state: string }[]) =>
  keys
    .filter(({ state }) => state === 'current' || state === 'retiring')
    .map(({ source }) => source)
    .join(' and ');

const databaseOf = ({ database }: { database?: string }) => database ?? process.env.GATEHOUSE_DATABASE ?? 'sqlite';

/** The running server records it and signs a checkpoint, so that the backup holds the record of itself. */
async function announced(options: ServerOptions) {
  try {
    return await operatorOf(options).call('POST /backup', { body: {} });
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (!code.startsWith('server.')) throw cause;
    throw new CliFailure(
      'unavailable',
      code,
      `${(cause as Error).message} A backup is recorded by the running server; with --offline it is made without, and not recorded.`,
      { cause },
    );
  }
}

/** First line of a file, or of standard input. Never an argument: other users see those. */
async function passphraseOf(file: string) {
  const { Secret } = await import('@gatehouse/server/backup');
  let content: string;
  try {
    content = file === '-' ? await text(process.stdin) : readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new CliFailure('noInput', 'file.unreadable', `${file} cannot be read (${code}).`, { cause });
  }
  return new Secret(content.split(/\r?\n/, 1)[0] ?? '');
}
