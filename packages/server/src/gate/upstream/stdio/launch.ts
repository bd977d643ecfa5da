import { spawnSync } from 'node:child_process';
import { lstatSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import type { ToolServerManifest } from '@gatehouse/protocol';
import { GatehouseError, type Log } from '../../../platform/index.ts';
import type { UpstreamCredential } from '../types.ts';
import { type CredentialFile, credentialFileIn, removeOrphanedCredentialFiles } from './credential-files.ts';
import {
  codeDirectories,
  contains,
  type Grant,
  outermost,
  resolveCommand,
  resolveGrants,
  type StdioTransport,
  workingDirectory,
} from './directories.ts';
import { namespaceLaunch, namespacesWork } from './namespace.ts';
import { assignUser, closeDataDirectory, handOver, type User } from './other-user.ts';

/**
 * How a stdio server is kept from our data (law 11), best first:
 * - `namespace`: Linux namespaces, see namespace.ts.
 * - `user`: another user of the system, where we are root but may not make namespaces (most containers).
 * - `permission`: Node's permission model, for servers that run on Node. It keeps honest and clumsy servers out; its authors
 *   promise nothing against hostile ones, so that it is no isolation for production.
 * - `none`.
 */
export type Isolation = 'namespace' | 'user' | 'permission' | 'none';

/** Stands for the working directory in `args` and `env` of a manifest. */
const workingDirectoryMark = '{workingDirectory}';

/** What is to be run, before it is decided how. */
export interface Plan {
  command: string;
  args: string[];
  cwd: string;
  env: Record<string, string>;
  files: CredentialFile[];
  /** Code that it must be able to read. */
  reads: string[];
  grants: Grant[];
  /** Set when we are root. */
  user: User | undefined;
}

export interface Launch {
  command: string;
  args: string[];
  cwd: string;
  env: Record<string, string>;
  /** Written before it starts, and removed when it is gone. */
  files: CredentialFile[];
  uid?: number;
  gid?: number;
  isolation: Isolation;
}

export interface LauncherOptions {
  dataDir: string;
  log: Log;
  isProduction(environment: string): boolean;
  /** Leaves out means that this machine has: for tests, and for operators whose machine claims more than it keeps. */
  isolations?: Isolation[];
}

export function createLauncher(options: LauncherOptions) {
  const { log, isProduction, isolations = ['namespace', 'user', 'permission', 'none'] } = options;
  const dataDir = realpathSync(options.dataDir);
  const isRoot = process.getuid?.() === 0;
  const warned = new Set<string>();
  removeOrphanedCredentialFiles(dataDir);
  let namespaces: Promise<boolean> | undefined;

  return {
    /** `owner` names whose working directory it is: a task, or an environment for a shared server. Throws GatehouseError. */
    async launch(
      server: ToolServerManifest,
      environment: string,
      owner: string,
      injected?: UpstreamCredential,
    ): Promise<Launch> {
      const transport = server.transport as StdioTransport;
      const plan = planOf(server.name, transport, owner, injected);
      const launch = await isolate(server.name, plan);
      if (launch.isolation === 'namespace' || launch.isolation === 'user') return launch;
      if (isProduction(environment))
        throw new GatehouseError(
          'forbidden',
          'upstream.not-isolated',
          `Tool server ${server.name} cannot be isolated on this machine, and ${environment} is a production environment. ` +
            'Run Gatehouse on Linux with unprivileged user namespaces (util-linux), or as root, or reach the server over HTTP.',
        );
      guardInspector();
      if (!warned.has(server.name)) {
        warned.add(server.name);
        log.warn('upstream.not-isolated', { server: server.name, isolation: launch.isolation });
      }
      return launch;
    },
  };

  function planOf(
    server: string,
    transport: StdioTransport,
    owner: string,
    injected: UpstreamCredential | undefined,
  ): Plan {
    const grants = resolveGrants(dataDir, server, transport);
    const cwd = workingDirectory(dataDir, server, owner);
    const user = isRoot ? assignUser(dataDir, cwd) : undefined;
    if (user !== undefined) handOver(grants, server, user);
    const command = resolveCommand(server, transport.command);
    const fill = (text: string) => text.replaceAll(workingDirectoryMark, cwd);
    const args = transport.args.map(fill);
    const program = args.find((arg) => isAbsolute(arg) && statSync(arg, { throwIfNoEntry: false })?.isFile() === true);
    const reads = outermost([
      ...(program === undefined ? [] : codeDirectories(dataDir, program)),
      ...(contains('/usr', realpathSync(command)) ? [] : [realpathSync(command)]),
    ]);
    const env: Record<string, string> = {
      PATH: [dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin'].join(':'),
    };
    for (const [name, value] of Object.entries(transport.env)) env[name] = fill(value);
    for (const [name, value] of Object.entries(injected?.values.env ?? {})) env[name] = value.reveal();
    const files = Object.entries(injected?.values.files ?? {}).map(([name, content]): CredentialFile => {
      env[name] = credentialFileIn(cwd);
      return { path: env[name], content, owner: user };
    });
    return { command, args, cwd, env, files, reads, grants, user };
  }

  async function isolate(server: string, plan: Plan): Promise<Launch> {
    if (isolations.includes('namespace')) {
      namespaces ??= namespacesWork(dataDir, plan).then(({ works, why }) => {
        if (!works) log.info('upstream.no-namespaces', { why });
        return works;
      });
      if (await namespaces) return namespaceLaunch(dataDir, plan);
    }
    if (isolations.includes('user') && plan.user !== undefined) {
      const launch = otherUserLaunch(plan, plan.user);
      closeDataDirectory(dataDir);
      if (reaches(plan, plan.user)) return launch;
      log.info('upstream.unreachable-for-other-user', { server, command: plan.command, reads: plan.reads });
    }
    const isNode = plan.command === process.execPath;
    if (isolations.includes('permission') && isNode) return permissionLaunch(plan);
    if (!isolations.includes('none'))
      throw new GatehouseError('forbidden', 'upstream.not-isolated', `Tool server ${server} cannot be isolated here.`);
    return asOurselves(plan, plan.args, 'none');
  }
}

let dieWithUs: string[] | undefined;

/** With util-linux the server dies with us, however we die. Elsewhere it only finds its standard input closed. */
function parentDeath(): string[] {
  const words = ['setpriv', '--pdeathsig', 'KILL', '--no-new-privs', '--'];
  dieWithUs ??= process.platform === 'linux' && succeeds([...words, 'true'], {}) ? words : [];
  return dieWithUs;
}

function succeeds([command, ...args]: string[], options: Partial<User>): boolean {
  return spawnSync(command as string, args, { ...options, cwd: '/', stdio: 'ignore' }).status === 0;
}

function wrapped(words: string[]): { command: string; args: string[] } {
  const [command, ...args] = [...parentDeath(), ...words];
  return { command: command as string, args };
}

function otherUserLaunch(plan: Plan, user: User): Launch {
  const words = ['/bin/sh', '-c', 'umask 007; unset PWD OLDPWD SHLVL; exec "$@"', 'sh', plan.command, ...plan.args];
  return { ...wrapped(words), cwd: plan.cwd, env: plan.env, files: plan.files, ...user, isolation: 'user' };
}

/** Whether that user gets to the working directory and to the code; a project in /root, say, is out of its reach. */
function reaches(plan: Plan, user: User): boolean {
  const test = 'cd "$0" && test -x "$1" && shift && for path; do test -r "$path" || exit 1; done';
  return succeeds(['/bin/sh', '-c', test, plan.cwd, plan.command, ...plan.reads], user);
}

function permissionLaunch(plan: Plan): Launch {
  const writes = [plan.cwd, ...plan.grants.filter(({ access }) => access === 'rw').map(({ path }) => path)];
  const reads = [...plan.reads, ...packageFiles(plan.reads), plan.cwd, ...plan.grants.map(({ path }) => path)];
  const flags = [
    '--permission',
    ...[...new Set(reads)].map((path) => `--allow-fs-read=${path}`),
    ...writes.map((path) => `--allow-fs-write=${path}`),
  ];
  return asOurselves(plan, [...flags, ...plan.args], 'permission');
}

/** Node looks upwards for the package that a file belongs to. */
function packageFiles(paths: string[]): string[] {
  const files = new Set<string>();
  for (const path of paths)
    for (let at = path; at !== dirname(at); at = dirname(at)) {
      const file = join(dirname(at), 'package.json');
      if (lstatSync(file, { throwIfNoEntry: false }) !== undefined) files.add(file);
    }
  return [...files];
}

/** As the user that we are, which may be root: then a user of its own is still better than none. */
function asOurselves(plan: Plan, args: string[], isolation: Isolation): Launch {
  return { ...wrapped([plan.command, ...args]), cwd: plan.cwd, env: plan.env, files: plan.files, isolation };
}

let inspectorGuarded = false;

/**
 * Any process of our user can send us SIGUSR1, at which Node opens its debugger to everybody on this machine. A listener
 * takes that meaning away.
 */
function guardInspector(): void {
  if (inspectorGuarded) return;
  inspectorGuarded = true;
  process.on('SIGUSR1', () => undefined);
}
