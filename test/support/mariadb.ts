import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { hasPrograms } from './debian.ts';
import { freePort } from './free-port.ts';

export interface TestMariadb {
  port: number;
  /** As root. */
  owner: Connection;
  /** What was said to it, all of it: its general log. */
  statements(): string;
  close(): Promise<void>;
}

const PASSWORD = 'root-password';

/** A MariaDB of its own (Debian: mariadb-server). Undefined where it is not installed (in CI: throws). */
export async function startMariadb(tls?: { ca: string; cert: string; key: string }): Promise<TestMariadb | undefined> {
  process.env.PATH = `${process.env.PATH}:/usr/sbin`;
  if (!hasPrograms(['mariadbd', 'mariadb-install-db'], ['mariadb-server'])) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-mariadb-'));
  const [data, log] = [join(folder, 'data'), join(folder, 'statements')];
  mkdirSync(data);
  // It refuses to be root.
  const isRoot = process.getuid?.() === 0;
  const as = isRoot ? ['--user=mysql'] : [];
  if (isRoot) {
    const [uid, gid] = ['-u', '-g'].map((flag) => Number(spawnSync('id', [flag, 'mysql']).stdout));
    for (const each of [folder, data]) chownSync(each, uid as number, gid as number);
  }
  const plain = ['--no-defaults', ...as, `--datadir=${data}`];
  const hasty = ['--innodb-flush-method=nosync', '--skip-innodb-doublewrite', '--innodb-buffer-pool-size=16M'];
  const installed = spawnSync('mariadb-install-db', [
    ...[...plain, ...hasty],
    ...['--skip-test-db', '--auth-root-authentication-method=normal'],
  ]);
  if (installed.status !== 0) throw new Error(`mariadb-install-db failed: ${installed.stdout}${installed.stderr}`);
  const secure = Object.entries(tls ?? {}).map(([name, pem]) => {
    const path = join(folder, `${name}.pem`);
    writeFileSync(path, pem, { mode: 0o644 });
    return `--ssl-${name}=${path}`;
  });
  const init = join(folder, 'init.sql');
  writeFileSync(init, `alter user root@localhost identified by '${PASSWORD}';`, { mode: 0o644 });
  const port = await freePort();
  const child = spawn(
    'mariadbd',
    [
      ...plain,
      ...[`--port=${port}`, '--bind-address=127.0.0.1', `--socket=${join(folder, 'socket')}`],
      ...[`--init-file=${init}`, ...hasty],
      ...['--general-log', `--general-log-file=${log}`, `--pid-file=${join(folder, 'pid')}`, ...secure],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let words = '';
  child.stderr.on('data', (chunk) => {
    words = (words + chunk).slice(-2_000);
  });
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  const stop = async () => {
    process.off('exit', end);
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    end();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  for (const giveUpAt = Date.now() + 30_000; ; await delay(100)) {
    const owner = await createConnection({
      ...{ host: '127.0.0.1', port, user: 'root', password: PASSWORD, multipleStatements: true },
    }).catch(() => undefined);
    if (owner)
      return {
        ...{ port, owner, statements: () => readFileSync(log, 'utf8') },
        async close() {
          owner.destroy();
          await stop();
        },
      };
    if (Date.now() < giveUpAt && child.exitCode === null) continue;
    await stop();
    throw new Error(`MariaDB does not start: ${words}`);
  }
}
