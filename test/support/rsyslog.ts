import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { hasPrograms } from './debian.ts';
import { freePort } from './free-port.ts';

/**
 * rsyslog (Debian: rsyslog, rsyslog-openssl) that takes syslog over TLS on a loopback port, asks for a client certificate, and writes what it
 * understood of each message to a file. Undefined where it is not installed (in CI: throws).
 */
export async function startRsyslog(tls: { ca: string; cert: string; key: string }) {
  process.env.PATH = `${process.env.PATH}:/usr/sbin`;
  if (!hasPrograms(['rsyslogd'], ['rsyslog', 'rsyslog-openssl'])) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-rsyslog-'));
  const [ca, cert, key, out, config] = ['ca.pem', 'cert.pem', 'key.pem', 'out.txt', 'rsyslog.conf'].map((name) =>
    join(folder, name),
  ) as [string, string, string, string, string];
  writeFileSync(ca, tls.ca);
  writeFileSync(cert, tls.cert);
  writeFileSync(key, tls.key, { mode: 0o600 });
  const port = await freePort();
  writeFileSync(
    config,
    `global(workDirectory="${folder}" maxMessageSize="128k" defaultNetstreamDriver="ossl"
  defaultNetstreamDriverCAFile="${ca}" defaultNetstreamDriverCertFile="${cert}" defaultNetstreamDriverKeyFile="${key}")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
template(name="seen" type="string" string="%syslogfacility% %syslogseverity% %hostname% %app-name% %procid% %msgid% %structured-data% %msg%\\n")
input(type="imtcp" address="127.0.0.1" port="${port}")
action(type="omfile" file="${out}" template="seen")
`,
  );
  const child = spawn('rsyslogd', ['-n', '-f', config, '-i', join(folder, 'pid')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let words = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      words = (words + chunk).slice(-2_000);
    });
  for (let tries = 0; !(await answers(port)); tries++) {
    if (tries > 600 || child.exitCode !== null) throw new Error(`rsyslog did not start: ${words}`);
    await wait(50);
  }
  return {
    port,
    lines: () => (existsSync(out) ? readFileSync(out, 'utf8').split('\n').filter(Boolean) : []),
    words: () => words,
    async close() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const answers = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
