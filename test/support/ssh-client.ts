import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

export interface SshSession {
  privateKey: string;
  certificate: string;
  port: string;
  user: string;
  /** As a line of `known_hosts` names the host. */
  knownHosts: string;
  options?: string[];
}

/** OpenSSH's own client with a key and its certificate; what it printed, and how it ended. */
export async function ssh(
  { privateKey, certificate, port, user, knownHosts, options = [] }: SshSession,
  command: string,
) {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-ssh-'));
  try {
    writeFileSync(join(folder, 'key'), privateKey, { mode: 0o600 });
    writeFileSync(join(folder, 'hosts'), knownHosts);
    writeFileSync(join(folder, 'key-cert.pub'), `${certificate}\n`);
    const settings = {
      ...{
        IdentitiesOnly: 'yes',
        BatchMode: 'yes',
        UserKnownHostsFile: join(folder, 'hosts'),
        StrictHostKeyChecking: 'yes',
      },
      IdentityAgent: 'none',
    };
    const child = spawn(
      'ssh',
      [
        ...['-F', 'none', '-i', join(folder, 'key'), '-p', port, '-l', user],
        ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
        ...[...options, '127.0.0.1', command],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...accountIn(folder) } },
    );
    const [out, err, code] = await Promise.all([
      child.stdout.toArray(),
      child.stderr.toArray(),
      new Promise<number | null>((resolve) => child.once('exit', resolve)),
    ]);
    return { out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString(), code };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** OpenSSH's client refuses an account without a name, such as Gatehouse gives tool servers; Debian's libnss-wrapper names it. */
function accountIn(folder: string): Record<string, string> {
  try {
    userInfo();
    return {};
  } catch {
    const [passwd, group] = [join(folder, 'passwd'), join(folder, 'group')];
    writeFileSync(passwd, `tool:x:${process.getuid?.()}:${process.getgid?.()}::${folder}:/bin/false\n`);
    writeFileSync(group, `tool:x:${process.getgid?.()}:\n`);
    return { LD_PRELOAD: 'libnss_wrapper.so', NSS_WRAPPER_PASSWD: passwd, NSS_WRAPPER_GROUP: group };
  }
}
