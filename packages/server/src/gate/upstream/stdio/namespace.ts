import { execFile } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contains, type Grant } from './directories.ts';
import type { Launch, Plan } from './launch.ts';

/**
 * Linux namespaces, made by `unshare` and a shell script: the server sees a file system that holds the system's programs, its own
 * code, its working directory and what it was granted, and nothing else; it sees no other process and can signal none; it has no
 * capability and can gain none; and when its first process dies, all of them do. The network is shared.
 *
 * Without root this needs user namespaces, and the server is still our user. With root it becomes a user of its own, because
 * user 0 is trusted in places that no mount hides (/proc/sys, set-user-id files in granted directories).
 */

/** System paths that programs need, as far as they exist: symbolic links are remade, the rest is bound read-only. */
const systemPaths = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/nix/store', '/gnu/store'];

/** Of /etc only what name resolution, TLS and the dynamic linker read. */
const etcPaths = [
  ...['alternatives', 'ca-certificates', 'ssl', 'pki', 'crypto-policies', 'ld.so.cache', 'ld.so.conf', 'ld.so.conf.d'],
  ...['resolv.conf', 'hosts', 'host.conf', 'nsswitch.conf', 'gai.conf', 'services', 'protocols', 'localtime'],
  ...['passwd', 'group', 'mime.types'],
].map((name) => `/etc/${name}`);

/**
 * Arguments: root, working directory, `UID GID` or two dashes, then `link TARGET PATH`, `ro PATH FLAGS`, `rw PATH FLAGS`, `again PATH FLAGS` until `--`, then the command.
 * `again` makes a mount below a bound one read-only, too: a recursive bind only changes its own.
 */
const script = `set -eu
root=$1 work=$2 uid=$3 gid=$4
shift 4
path=$PATH
PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin
setpriv=$(command -v setpriv)
umask 022
mount -t tmpfs -o size=1m,mode=755,nosuid,nodev gatehouse "$root"
cd "$root"
mkdir -p proc dev tmp etc .old
mount -t tmpfs -o size=64m,mode=1777,nosuid,nodev tmp tmp
while [ "$1" != -- ]; do
  case $1 in
    link) mkdir -p ".\${3%/*}"; ln -s "$2" ".$3" ;;
    again) mount -o "remount,bind,ro,$3" ".$2" ;;
    *)
      if [ -d "$2" ]; then mkdir -p ".$2"; else mkdir -p ".\${2%/*}"; : > ".$2"; fi
      mount --rbind "$2" ".$2"
      if [ "$1" = ro ]; then mount -o "remount,bind,ro,$3" ".$2"; fi ;;
  esac
  shift 3
done
shift
mount -t proc -o nosuid,nodev,noexec proc proc
for device in null zero full random urandom; do : > "dev/$device"; mount --bind "/dev/$device" "dev/$device"; done
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
pivot_root . .old
umount -l /.old
rmdir /.old
mount -o remount,bind,ro,nosuid,nodev /
cd "$work"
PATH=$path
unset PWD OLDPWD SHLVL
if [ "$uid" = - ]; then
  # Of this user namespace only; in root's own it would be everybody's.
  echo 0 > /proc/sys/user/max_user_namespaces
  exec "$setpriv" --no-new-privs --inh-caps=-all --bounding-set=-all -- "$@"
fi
umask 007
exec "$setpriv" --reuid "$uid" --regid "$gid" --clear-groups --pdeathsig KILL --no-new-privs --inh-caps=-all --bounding-set=-all -- "$@"
`;

const unshare = ['--mount', '--pid', '--ipc', '--uts', '--cgroup', '--fork', '--kill-child'];

export function namespaceLaunch(dataDir: string, plan: Plan): Launch {
  const root = rootOf(dataDir);
  const mounts = readMounts();
  const binds: string[] = [];
  const bind = ({ path, access }: Grant) => {
    binds.push(access, path, flagsOf(mounts, path));
    if (access === 'rw') return;
    for (const below of mounts)
      if (below.path !== path && contains(path, below.path)) binds.push('again', below.path, below.flags);
  };
  const system: Grant[] = [];
  for (const path of [...systemPaths, ...etcPaths]) {
    const kind = lstatSync(path, { throwIfNoEntry: false });
    if (kind?.isSymbolicLink() === true && !path.startsWith('/etc/')) binds.push('link', readlinkSync(path), path);
    else if (kind !== undefined && existsSync(path)) system.push({ path, access: 'ro' });
  }
  const own: Grant[] = [
    ...plan.reads.map((path): Grant => ({ path, access: 'ro' })),
    ...plan.grants,
    { path: plan.cwd, access: 'rw' },
  ];
  const covered = own.filter(
    ({ path, access }) => access === 'rw' || !system.some((outer) => contains(outer.path, path)),
  );
  // What lies deeper comes later, over what holds it.
  for (const grant of [...system, ...covered].sort((a, b) => a.path.length - b.path.length)) bind(grant);
  const user = plan.user === undefined ? ['-', '-'] : [String(plan.user.uid), String(plan.user.gid)];
  const spaces = plan.user === undefined ? ['--user', '--map-root-user', ...unshare] : unshare;
  return {
    command: 'setpriv',
    args: [
      ...[
        '--pdeathsig',
        'KILL',
        '--',
        'unshare',
        ...spaces,
        '--',
        '/bin/sh',
        '-c',
        script,
        'sh',
        root,
        plan.cwd,
        ...user,
      ],
      ...binds,
      ...['--', plan.command, ...plan.args],
    ],
    cwd: '/',
    env: plan.env,
    files: plan.files,
    isolation: 'namespace',
  };
}

function rootOf(dataDir: string): string {
  const root = join(dataDir, 'upstreams', '.root');
  mkdirSync(root, { recursive: true, mode: 0o700 });
  return root;
}

interface Mount {
  path: string;
  flags: string;
}

/**
 * Flags that a remount in a user namespace must repeat, because the kernel locks them. nosuid and nodev are always
 * set; the access time flags stay as they are when none is named.
 */
function readMounts(): Mount[] {
  const plain = (text: string) =>
    text.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const fields = line.split(' ');
      const noexec = (fields[5] ?? '').split(',').includes('noexec');
      return { path: plain(fields[4] ?? '/'), flags: noexec ? 'nosuid,nodev,noexec' : 'nosuid,nodev' };
    });
}

function flagsOf(mounts: Mount[], path: string): string {
  let found: Mount | undefined;
  for (const mount of mounts)
    if (contains(mount.path, path) && mount.path.length >= (found?.path.length ?? 0)) found = mount;
  return found?.flags ?? 'nosuid,nodev';
}

/** Whether a process can really be shut in here: one that tries to reach our data and to write where it may not must fail. */
export async function namespacesWork(dataDir: string, plan: Plan): Promise<{ works: boolean; why: string }> {
  if (process.platform !== 'linux') return { works: false, why: 'there are no Linux namespaces' };
  const canary = join(dataDir, 'upstreams', '.canary');
  writeFileSync(canary, 'Nothing that runs as a tool server can see this file.\n', { mode: 0o600 });
  const attempt =
    '[ $$ = 1 ] && [ ! -e "$0" ] && ! touch /usr/.gatehouse 2>/dev/null && touch .probe && rm .probe && echo shut-in';
  const probe = { ...plan, reads: [], grants: [], files: [], command: '/bin/sh', args: ['-c', attempt, canary] };
  const launch = namespaceLaunch(dataDir, probe);
  const { promise, resolve } = Promise.withResolvers<{ works: boolean; why: string }>();
  execFile(
    launch.command,
    launch.args,
    { env: launch.env, cwd: launch.cwd, timeout: 10_000, killSignal: 'SIGKILL' },
    (error, stdout, stderr) =>
      resolve({
        works: stdout === 'shut-in\n',
        why: (stderr || (error?.message ?? 'the probe failed')).trim().slice(-300),
      }),
  );
  return promise;
}
