import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, fchownSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Secret } from '../../../platform/index.ts';
import { upstreamsIn } from './directories.ts';
import type { User } from './other-user.ts';

/** A credential that a process reads from a file of its own. */
export interface CredentialFile {
  path: string;
  content: Secret;
  owner: User | undefined;
}

const PREFIX = '.gatehouse-credential-';

export const credentialFileIn = (directory: string): string =>
  join(directory, `${PREFIX}${process.pid}-${randomUUID()}`);

/** For its process alone. `wx`: what an earlier process of the task may have put there is not followed, and not written to. */
export function writeCredentialFile({ path, content, owner }: CredentialFile): void {
  const file = openSync(path, 'wx', 0o600);
  try {
    if (owner) fchownSync(file, owner.uid, owner.gid);
    writeSync(file, content.reveal());
  } finally {
    closeSync(file);
  }
}

export const removeCredentialFile = ({ path }: CredentialFile): void => rmSync(path, { force: true });

/** What a server that was killed has left behind. Another one on this machine may be using its own. */
export function removeOrphanedCredentialFiles(dataDir: string): void {
  const upstreams = upstreamsIn(dataDir);
  if (!existsSync(upstreams)) return;
  const below = (path: string) =>
    readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [join(path, entry.name)] : [],
    );
  for (const directory of below(upstreams).flatMap(below))
    for (const name of readdirSync(directory)) {
      if (!name.startsWith(PREFIX)) continue;
      const pid = Number(name.slice(PREFIX.length).split('-')[0]);
      if (pid === process.pid || !isRunning(pid)) rmSync(join(directory, name), { force: true });
    }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
