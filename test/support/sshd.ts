import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasPrograms } from './debian.ts';
import { freePort } from './free-port.ts';

/**
 * OpenSSH's sshd on a loopback port (Debian: openssh-server), which lets in whom a certificate of a trusted authority names: the account that runs
 * the tests, under the principals `reader` and `deployer`. Undefined where it is not installed (in CI: throws).
 */
export async function startSshd() {
  process.env.PATH = `${process.env.PATH}:/usr/sbin`;
  if (!hasPrograms(['sshd', 'ssh', 'ssh-keygen'], ['openssh-server', 'openssh-client'])) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-sshd-'));
  const at = (name: string) => join(folder, name);
  // As root it wants the directory that its package makes at boot.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
  spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at('host')]);
  writeFileSync(at('authorities'), '');
  writeFileSync(at('principals'), 'reader\ndeployer\n');
  const port = await freePort();
  writeFileSync(
    at('config'),
    `Port ${port}
ListenAddress 127.0.0.1
HostKey ${at('host')}
PidFile ${at('pid')}
TrustedUserCAKeys ${at('authorities')}
AuthorizedPrincipalsFile ${at('principals')}
AuthorizedKeysFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
LogLevel VERBOSE
`,
  );
  const child = spawn('/usr/sbin/sshd', ['-D', '-f', at('config'), '-E', at('log')], { stdio: 'ignore' });
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  for (let tries = 0; !(await answers(port)); tries++) {
    if (tries > 600 || child.exitCode !== null)
      throw new Error(`sshd did not start: ${readFileSync(at('log'), 'utf8')}`);
    await delay(50);
  }
  const knownHosts = `[127.0.0.1]:${port} ${readFileSync(at('host.pub'), 'utf8')}`;
  return {
    ...{ port, knownHosts, user: userInfo().username },
    trust: (line: string) => writeFileSync(at('authorities'), `${line}\n`),
    log: () => readFileSync(at('log'), 'utf8'),
    async close() {
      process.off('exit', end);
      const ended = once(child, 'exit');
      end();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
export type TestSshd = NonNullable<Awaited<ReturnType<typeof startSshd>>>;

const answers = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
