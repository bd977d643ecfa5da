import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { hasPrograms } from './debian.ts';
import { freePort } from './free-port.ts';

const PASSWORD = 'root-password';

/** A Redis of its own over TLS, whose users are in a file (Debian: redis-server). Undefined where it is not installed (in CI: throws). */
export async function startRedis(tls: { ca: string; cert: string; key: string }) {
  if (!hasPrograms(['redis-server'], ['redis-server'])) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-redis-'));
  const users = join(folder, 'users.acl');
  writeFileSync(users, `user default on >${PASSWORD} ~* &* +@all\n`);
  const files = Object.entries(tls).map(([name, pem]) => {
    writeFileSync(join(folder, `${name}.pem`), pem, { mode: 0o600 });
    return [name, join(folder, `${name}.pem`)] as const;
  });
  const port = await freePort();
  const settings = {
    ...{
      port: 0,
      'tls-port': port,
      bind: '127.0.0.1',
      'tls-auth-clients': 'no',
      save: '',
      dir: folder,
      aclfile: users,
    },
    ...Object.fromEntries(files.map(([name, path]) => [name === 'ca' ? 'tls-ca-cert-file' : `tls-${name}-file`, path])),
  };
  const words = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const start = async () => {
    const child = spawn('redis-server', words, { stdio: 'ignore' });
    const end = () => child.kill('SIGKILL');
    process.once('exit', end);
    for (const giveUpAt = Date.now() + 20_000; ; await delay(50)) {
      const owner = createClient({
        ...{ username: 'default', password: PASSWORD },
        socket: { host: 'localhost', port, tls: true, ca: tls.ca, reconnectStrategy: false },
      });
      owner.on('error', () => undefined);
      if (await owner.connect().catch(() => undefined)) return { child, end, owner };
      if (Date.now() > giveUpAt || child.exitCode !== null) throw new Error('Redis does not start');
    }
  };
  let running = await start();
  const stop = async () => {
    const { child, end, owner } = running;
    if (owner.isOpen) owner.destroy();
    const ended = once(child, 'exit');
    process.off('exit', end);
    end();
    await ended;
  };
  return {
    port,
    /** As the default user. */
    run: (...command: string[]): Promise<unknown> => running.owner.sendCommand(command),
    savedUsers: () => readFileSync(users, 'utf8'),
    async restart() {
      await stop();
      running = await start();
    },
    async close() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
export type TestRedis = NonNullable<Awaited<ReturnType<typeof startRedis>>>;
