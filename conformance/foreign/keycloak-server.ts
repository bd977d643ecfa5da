import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../test/support/free-port.ts';
import { cacheDirectory, needProgram, prepare } from './cache.ts';
import { tell } from './cases.ts';

export const KEYCLOAK_VERSION = '26.5.6';
const ADMIN = 'admin';
const START_LIMIT_MS = 600_000;

/** A real Keycloak with one realm, in memory, for as long as this process lives. */
export interface Keycloak {
  /** Of the realm. */
  issuer: string;
  /** The admin API of the realm: `admin('GET', 'users')`. */
  admin<T>(method: string, path: string, body?: unknown): Promise<T>;
  close(): Promise<void>;
}

export async function installKeycloak(): Promise<string> {
  needProgram('java', '-version', 'install Java 17 or newer (Debian: apt-get install openjdk-17-jre-headless)');
  needProgram('mvn', '-version', 'install Maven (Debian: apt-get install maven)');
  needProgram('unzip', '-v', 'install it (Debian: apt-get install unzip)');
  const cache = cacheDirectory('keycloak');
  const home = join(cache, `keycloak-${KEYCLOAK_VERSION}`);
  if (existsSync(home)) return home;
  const artifact = `org.keycloak:keycloak-quarkus-dist:${KEYCLOAK_VERSION}:zip`;
  const copy = ['-q', '-B', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${cache}`];
  await prepare(`Downloading Keycloak ${KEYCLOAK_VERSION} (165 MB) by Maven`, 'mvn', copy, { cwd: cache });
  const archive = join(cache, `keycloak-quarkus-dist-${KEYCLOAK_VERSION}.zip`);
  await prepare('Unpacking it', 'unzip', ['-q', archive], { cwd: cache });
  rmSync(archive);
  return home;
}

export async function startKeycloak(home: string, realm: object): Promise<Keycloak> {
  const imports = join(home, 'data', 'import');
  mkdirSync(imports, { recursive: true });
  writeFileSync(join(imports, 'company.json'), JSON.stringify(realm));
  const port = await freePort();
  const url = `http://localhost:${port}`;
  tell('starting Keycloak (one minute, or five on a busy machine at first) …');
  const child = spawn(
    'sh',
    [
      ...[join(home, 'bin', 'kc.sh'), 'start-dev', '--import-realm', '--db=dev-mem', '--cache=local'],
      ...['--http-host=127.0.0.1', `--http-port=${port}`, `--hostname=${url}`],
      '--features=client-auth-federated,spiffe',
    ],
    {
      // In a group of its own: the script starts Java as a child.
      detached: true,
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        JAVA_HOME: process.env.JAVA_HOME,
        JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx512m',
        KC_BOOTSTRAP_ADMIN_USERNAME: ADMIN,
        KC_BOOTSTRAP_ADMIN_PASSWORD: ADMIN,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let words = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      words = (words + chunk).slice(-4_000);
      if (process.env.CONFORMANCE_VERBOSE) process.stderr.write(chunk);
    });
  const kill = () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
  };
  process.once('exit', kill);
  const issuer = `${url}/realms/company`;
  for (const until = Date.now() + START_LIMIT_MS; ; await delay(500)) {
    const answer = await fetch(`${issuer}/.well-known/openid-configuration`).catch(() => undefined);
    if (answer?.ok) break;
    if (child.exitCode === null && Date.now() < until) continue;
    kill();
    throw new Error(`Keycloak does not start: ${words}`);
  }
  return {
    issuer,
    async admin(method, path, body) {
      const { access_token } = await passwordGrant(`${url}/realms/master`);
      const response = await fetch(`${url}/admin/realms/company/${path}`, {
        method,
        headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return text === '' ? undefined : JSON.parse(text);
    },
    async close() {
      process.off('exit', kill);
      const ended = once(child, 'exit');
      kill();
      await ended;
    },
  };
}

async function passwordGrant(realm: string): Promise<{ access_token: string }> {
  const response = await fetch(`${realm}/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', username: ADMIN, password: ADMIN }),
  });
  return (await response.json()) as { access_token: string };
}
