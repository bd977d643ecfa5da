import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from './free-port.ts';
import { type Account, type Binaries, findBinaries, scratchDirectory, serverAccount } from './postgres-binaries.ts';

/** A real PostgreSQL for tests, durable as in production (fsync on), on a random port of 127.0.0.1. */
export type TestPostgres = {
  /** Of the superuser, on the database `postgres`. Stays the same over `kill` and `restart`. */
  url: string;
  version: string;
  dataDir: string;
  /** A database of its own for one test; `template`: the name of one to copy, with no one connected to it. */
  createDatabase(template?: string): Promise<TestDatabase>;
  /** Ends every process of the server at once, as a power cut would. */
  kill(): Promise<void>;
  /** Has every process of the server stand still: connections stay, and nothing is answered. */
  pause(isPaused: boolean): void;
  /** Starts the server again on the same data: after `kill`, with crash recovery. */
  restart(): Promise<void>;
  /** Stops the server and removes its data, once all who started it have closed it. */
  close(): Promise<void>;
};
export type TestDatabase = { name: string; url: string; drop(): Promise<void> };
/** Major version. */
export type PostgresVersion = `${number}` | 'any';

type Cluster = {
  binaries: Binaries;
  account: Account | undefined;
  directory: string;
  password: string;
  port: number;
  server?: ChildProcess;
  /** Told each change of the server's process id; when our end of its input closes, it stops that and cleans up. */
  undertaker: ChildProcess;
};

const USER = 'gatehouse';
const START_TIMEOUT_MS = 60_000;
const PORT_ATTEMPTS = 5;
const shared = new Map<string, { cluster: Promise<Cluster | undefined>; users: number }>();

/**
 * One server for each process and version. Whatever ends the process (an exception, a signal, SIGKILL), the server and
 * its data go with it. Where PostgreSQL is missing: throws in CI, elsewhere says on stderr how to get it and gives
 * nothing, so that the test can be skipped.
 */
export async function startPostgres({
  version = 'any',
  diskMiB,
}: {
  version?: PostgresVersion;
  /** Its data lies on a disk of its own, of that size; only where one can be mounted (Linux, as root). */
  diskMiB?: number;
} = {}): Promise<TestPostgres | undefined> {
  const key = `${version}/${diskMiB ?? ''}`;
  const entry = shared.get(key) ?? { cluster: createCluster(version, diskMiB), users: 0 };
  shared.set(key, entry);
  entry.users += 1;
  const cluster = await entry.cluster;
  if (!cluster) return undefined;
  if (!isRunning(cluster)) await startServer(cluster);
  let closed = false;
  return {
    url: urlOf(cluster, 'postgres'),
    version: cluster.binaries.version,
    dataDir: join(cluster.directory, 'data'),
    createDatabase: (template) => createDatabase(cluster, template),
    kill: () => killServer(cluster),
    pause: (isPaused) => signalAll(cluster, isPaused ? 'SIGSTOP' : 'SIGCONT'),
    restart: async () => {
      await stopServer(cluster);
      await startServer(cluster);
    },
    close: async () => {
      if (closed) return;
      closed = true;
      entry.users -= 1;
      if (entry.users > 0) return;
      shared.delete(key);
      await removeCluster(cluster);
    },
  };
}

async function createCluster(version: PostgresVersion, diskMiB: number | undefined): Promise<Cluster | undefined> {
  const account = serverAccount();
  const directory = scratchDirectory(account);
  const found = findBinaries(version, account, directory);
  if ('missing' in found) {
    rmSync(directory, { recursive: true });
    if (process.env.CI) throw new Error(found.missing);
    console.error(`Tests on PostgreSQL are skipped. ${found.missing}`);
    return undefined;
  }
  if (diskMiB !== undefined) mountDisk(join(directory, 'data'), diskMiB, account);
  const password = randomBytes(16).toString('hex');
  const cluster = { ...found, account, directory, password, port: 0, undertaker: startUndertaker(directory) };
  const passwordFile = join(directory, 'password');
  writeFileSync(passwordFile, password);
  const options = ['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', '--no-instructions', '--no-sync'];
  if (diskMiB !== undefined) options.push('--wal-segsize=1');
  const initdb = run(cluster, found.binaries.initdb, [
    ...['-D', join(directory, 'data'), '-U', USER, `--pwfile=${passwordFile}`],
    ...options,
  ]);
  await ended(initdb);
  if (initdb.exitCode !== 0) throw new Error(`initdb failed: ${logOf(cluster)}`);
  return cluster;
}

function mountDisk(directory: string, sizeMiB: number, account: Account | undefined): void {
  mkdirSync(directory);
  const options = `size=${sizeMiB}m,mode=0700,uid=${account?.uid},gid=${account?.gid}`;
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory]);
  if (status !== 0) throw new Error(`no disk could be mounted: ${stderr}`);
}

/** Runs apart from our process group, and so outlives us even if we are killed. */
function startUndertaker(directory: string): ChildProcess {
  const script = `
    while read -r line; do pid=$line; done
    if [ "\${pid:-0}" -gt 0 ]; then
      kill -QUIT "$pid"
      for i in $(seq 100); do [ -e "$0/data/postmaster.pid" ] && kill -0 "$pid" || break; sleep 0.1; done
      kill -KILL "$pid"
    fi
    umount -l "$0/data" 2>/dev/null
    rm -rf "$0" || { sleep 1; rm -rf "$0"; }`;
  const undertaker = spawn('/bin/sh', ['-c', script, directory], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  undertaker.unref();
  return undertaker;
}

function run(cluster: Cluster, program: string, args: string[]): ChildProcess {
  const log = openSync(join(cluster.directory, 'log'), 'a');
  const child = spawn(program, args, {
    ...cluster.account,
    cwd: cluster.directory,
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
    detached: true,
    stdio: ['ignore', log, log],
  });
  child.unref();
  cluster.undertaker.stdin?.write(`${child.pid}\n`);
  return child;
}

async function startServer(cluster: Cluster): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    cluster.port ||= await freePort();
    const settings = { listen_addresses: '127.0.0.1', port: cluster.port, unix_socket_directories: '', fsync: 'on' };
    cluster.server = run(cluster, cluster.binaries.postgres, [
      ...['-D', join(cluster.directory, 'data')],
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ...['-c', 'max_connections=200', '-c', 'shared_buffers=32MB', '-c', 'max_wal_size=64MB'],
    ]);
    if (await becomesReady(cluster, cluster.server)) return;
    await stopServer(cluster);
    const log = logOf(cluster);
    // Another process may have taken the port since we looked.
    if (!/could not bind|could not create any TCP/.test(log) || attempt === PORT_ATTEMPTS) {
      throw new Error(`PostgreSQL does not start: ${log}`);
    }
    cluster.port = 0;
  }
}

async function becomesReady(cluster: Cluster, server: ChildProcess): Promise<boolean> {
  for (const end = Date.now() + START_TIMEOUT_MS; Date.now() < end && isRunning(cluster); ) {
    const lines = pidFileOf(cluster);
    if (Number(lines[0]) === server.pid && lines[7]?.trim() === 'ready') return true;
    await delay(20);
  }
  return false;
}

async function stopServer(cluster: Cluster): Promise<void> {
  if (cluster.server && isRunning(cluster)) {
    cluster.server.kill('SIGINT');
    await ended(cluster.server);
  }
  cluster.undertaker.stdin?.write('0\n');
}

async function killServer(cluster: Cluster): Promise<void> {
  const { server } = cluster;
  if (!isRunning(cluster) || !server) return;
  signalAll(cluster, 'SIGKILL');
  await ended(server);
  cluster.undertaker.stdin?.write('0\n');
}

function signalAll({ server }: Cluster, signal: NodeJS.Signals): void {
  if (!server?.pid) return;
  for (const pid of [server.pid, ...childrenOf(server.pid)]) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

async function removeCluster(cluster: Cluster): Promise<void> {
  await stopServer(cluster);
  // After SIGKILL the server's shared memory segment is left; its number is in the file of the process id.
  const segment = pidFileOf(cluster)[6]?.trim().split(/\s+/)[1];
  if (segment) spawnSync('ipcrm', ['-m', segment]);
  cluster.undertaker.stdin?.end();
  await ended(cluster.undertaker);
}

async function createDatabase(cluster: Cluster, template = 'template1'): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await execute(cluster, `CREATE DATABASE ${name} TEMPLATE ${pg.escapeIdentifier(template)}`);
  return {
    name,
    url: urlOf(cluster, name),
    drop: () => execute(cluster, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

async function execute(cluster: Cluster, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: urlOf(cluster, 'postgres') });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

async function ended(child: ChildProcess): Promise<void> {
  child.ref();
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

const isRunning = ({ server }: Cluster): boolean =>
  server !== undefined && server.exitCode === null && server.signalCode === null;
const urlOf = ({ password, port }: Cluster, name: string): string =>
  `postgresql://${USER}:${password}@127.0.0.1:${port}/${name}`;
const logOf = ({ directory }: Cluster): string => readFileSync(join(directory, 'log'), 'utf8').slice(-2000);

function pidFileOf({ directory }: Cluster): string[] {
  try {
    return readFileSync(join(directory, 'data/postmaster.pid'), 'utf8').split('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function childrenOf(pid: number): number[] {
  const { stdout, error } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  // Without ps they end by themselves, as soon as they notice that their parent is gone.
  if (error) return [];
  const rows = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number));
  return rows.filter(([, parent]) => parent === pid).map(([child]) => child as number);
}
