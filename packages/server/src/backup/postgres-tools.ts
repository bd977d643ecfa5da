import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GatehouseError } from '../platform/index.ts';

const MAX_COMPLAINT_CHARS = 2_000;

/** Address for the command line, without its password, and the environment with it: other users see the former. */
function connectionOf(url: string): { address: string; environment: NodeJS.ProcessEnv } {
  const parsed = new URL(url);
  const password = decodeURIComponent(parsed.password) || parsed.searchParams.get('password');
  parsed.password = '';
  parsed.searchParams.delete('password');
  const { PATH, HOME, PGPASSFILE, PGPASSWORD, PGSSLROOTCERT, PGSSLCERT, PGSSLKEY, PGSSLMODE } = process.env;
  const passed = { PATH, HOME, PGPASSFILE, PGPASSWORD, PGSSLROOTCERT, PGSSLCERT, PGSSLKEY, PGSSLMODE };
  // Its complaints are read below, and in other languages they would not be understood.
  const environment = { ...passed, LC_ALL: 'C', ...(password && { PGPASSWORD: password }) };
  return { address: parsed.href, environment };
}

/** PostgreSQL's own dump, of the state that the exported snapshot names. */
export async function dump(url: string, snapshot: string, file: string): Promise<void> {
  const { address, environment } = connectionOf(url);
  await run('pg_dump', environment, [
    ...['--format=custom', `--snapshot=${snapshot}`, '--no-owner', '--no-privileges', '--no-password'],
    ...[`--file=${file}`, `--dbname=${address}`],
  ]);
}

/** All of it or nothing. */
export async function load(url: string, from: Readable): Promise<void> {
  const { address, environment } = connectionOf(url);
  await run(
    'pg_restore',
    environment,
    [
      ...['--single-transaction', '--exit-on-error', '--no-owner', '--no-privileges', '--no-password'],
      `--dbname=${address}`,
    ],
    from,
  );
}

async function run(program: string, env: NodeJS.ProcessEnv, args: string[], input?: Readable): Promise<void> {
  const child: ChildProcess = spawn(program, args, { env, stdio: [input ? 'pipe' : 'ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = `${complaint}${chunk}`.slice(-MAX_COMPLAINT_CHARS);
  });
  const ended = once(child, 'close') as Promise<[number | null, string | null]>;
  // A program that ends early closes its end; its exit code says so, and better.
  const fed = input && child.stdin ? pipeline(input, child.stdin).catch(() => undefined) : undefined;
  try {
    await fed;
    const [code, signal] = await ended;
    if (code === 0) return;
    throw failure(program, complaint.trim() || `it ended with ${code ?? signal}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new GatehouseError(
      'unavailable',
      'backup.no-postgres-tools',
      `${program} is not on the PATH. Install PostgreSQL's client programs of the server's version or newer (Debian: apt-get install postgresql-client), and try again.`,
      { cause: error },
    );
  }
}

function failure(program: string, complaint: string): GatehouseError {
  const [, server, own] = /server version: ([^;\s]+).*; \w+ version: (\S+)/.exec(complaint) ?? [];
  const tooOld =
    server !== undefined
      ? `${program} on the PATH is of version ${own}, and the server of ${server}, which it cannot read.`
      : /unsupported version .* in file header/.test(complaint)
        ? `${program} on the PATH is older than the pg_dump that made the backup, and cannot read it.`
        : undefined;
  if (tooOld === undefined)
    return new GatehouseError('unavailable', 'backup.postgres-tool', `${program} failed: ${complaint}`);
  return new GatehouseError(
    'unavailable',
    'backup.postgres-tools-too-old',
    `${tooOld} Put PostgreSQL's client programs of that version or a newer one first on the PATH (Debian has them in /usr/lib/postgresql/VERSION/bin), and try again.`,
  );
}
