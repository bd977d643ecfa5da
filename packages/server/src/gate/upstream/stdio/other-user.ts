import { chmodSync, chownSync, lstatSync, readdirSync, readFileSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { GatehouseError } from '../../../platform/index.ts';
import { type Grant, upstreamsIn } from './directories.ts';

export interface User {
  uid: number;
  gid: number;
}

/**
 * A gate that runs as root gives every working directory a user, and every server a group, of its own. Which ones is kept as the
 * owner of the directories themselves, so that a restart finds them again.
 */
const firstId = 58_000;
const lastId = 59_999;
const isOurs = (id: number) => id >= firstId && id <= lastId;

/** Makes the working directory its user's own. */
export function assignUser(dataDir: string, workingDirectory: string): User {
  const serverDirectory = dirname(workingDirectory);
  const known = lstatSync(serverDirectory);
  const gid = isOurs(known.gid) ? known.gid : freeId(dataDir, ({ gid: taken }) => taken);
  chownSync(serverDirectory, 0, gid);
  chmodSync(serverDirectory, 0o710);
  const current = lstatSync(workingDirectory);
  const uid = isOurs(current.uid) ? current.uid : freeId(dataDir, ({ uid: taken }) => taken);
  chownSync(workingDirectory, uid, gid);
  chmodSync(workingDirectory, 0o700);
  return { uid, gid };
}

function freeId(dataDir: string, idOf: (stats: Stats) => number): number {
  const taken = new Set(systemIds());
  const upstreams = upstreamsIn(dataDir);
  for (const server of readdirSync(upstreams)) {
    const directory = join(upstreams, server);
    taken.add(idOf(lstatSync(directory)));
    if (lstatSync(directory).isDirectory())
      for (const task of readdirSync(directory)) taken.add(idOf(lstatSync(join(directory, task))));
  }
  for (let id = firstId; id <= lastId; id++) if (!taken.has(id)) return id;
  throw new GatehouseError(
    'unavailable',
    'upstream.users-exhausted',
    `All ${lastId - firstId + 1} users for stdio tool servers are taken. End tasks, or run Gatehouse without root.`,
  );
}

function systemIds(): number[] {
  return ['/etc/passwd', '/etc/group'].flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => Number(line.split(':')[2])),
  );
}

const maxEntries = 20_000;

/**
 * Opens what was granted to the server's group where its bits do not already do so. Owners stay as they are. A directory can be
 * handed to one server this way, not to two.
 */
export function handOver(grants: Grant[], server: string, { gid }: User): void {
  for (const { path, access } of grants) {
    const top = lstatSync(path);
    // What everybody may read needs no help; what is below it follows the same habit.
    if (access === 'ro' && (top.mode & 0o005) === 0o005) continue;
    let entries = 0;
    const open = (at: string) => {
      const stats = lstatSync(at);
      if (stats.isSymbolicLink() || !(stats.isDirectory() || stats.isFile())) return;
      if (++entries > maxEntries)
        throw refused(
          server,
          path,
          `holds more than ${maxEntries} entries; grant a smaller one, or run Gatehouse without root`,
        );
      const bits = (access === 'rw' ? 0o060 : 0o040) | (stats.isDirectory() ? 0o010 : (stats.mode & 0o100) >> 3);
      const sticky = stats.isDirectory() && access === 'rw' ? 0o2000 : 0;
      if (stats.gid !== gid) {
        if (isOurs(stats.gid)) throw refused(server, path, 'is already granted to another tool server');
        chownSync(at, stats.uid, gid);
      }
      if ((stats.mode & (bits | sticky)) !== (bits | sticky)) chmodSync(at, (stats.mode & 0o7777) | bits | sticky);
      if (stats.isDirectory()) for (const name of readdirSync(at)) open(join(at, name));
    };
    open(path);
  }
}

const refused = (server: string, path: string, why: string) =>
  new GatehouseError('conflict', 'upstream.directory', `The directory ${path} of tool server ${server} ${why}.`);

/**
 * Without namespaces, another user can only be kept out by permissions: our directory may be passed through, everything in it but
 * the upstreams is closed.
 */
export function closeDataDirectory(dataDir: string): void {
  for (const name of readdirSync(dataDir)) {
    const path = join(dataDir, name);
    const stats = lstatSync(path);
    if (path !== upstreamsIn(dataDir) && !stats.isSymbolicLink() && (stats.mode & 0o077) !== 0)
      chmodSync(path, stats.mode & 0o700);
  }
  chmodSync(upstreamsIn(dataDir), 0o711);
  chmodSync(dataDir, 0o711);
}
