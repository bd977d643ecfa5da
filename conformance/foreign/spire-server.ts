import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '../../test/support/free-port.ts';
import { cacheDirectory, goHelp, needProgram, prepare } from './cache.ts';
import { tell } from './cases.ts';

export const SPIRE_VERSION = '1.13.3';
const PROGRAMS = ['spire-server', 'spire-agent'];
const run = promisify(execFile);

/** Directory of the two programs. There is no other way to get them than to build them that works from a module proxy alone. */
export async function buildSpire(): Promise<string> {
  needProgram('go', 'version', goHelp);
  needProgram(
    'cc',
    '--version',
    'install a C compiler, for the SQLite of SPIRE (Debian: apt-get install build-essential)',
  );
  const cwd = cacheDirectory(`spire-${SPIRE_VERSION}`);
  const bin = join(cwd, 'bin');
  if (PROGRAMS.every((name) => existsSync(join(bin, name)))) return bin;
  const packages = PROGRAMS.map((name) => `github.com/spiffe/spire/cmd/${name}`);
  const env = { GOFLAGS: '-buildvcs=false', GOBIN: bin, CGO_ENABLED: '1' };
  if (!existsSync(join(cwd, 'go.mod'))) await prepare('Making a module', 'go', ['mod', 'init', 'x'], { cwd, env });
  const wanted = packages.map((each) => `${each}@v${SPIRE_VERSION}`);
  await prepare('Downloading SPIRE and what it is made of (1 GB)', 'go', ['get', '-tool', ...wanted], { cwd, env });
  await prepare('Building it (15 minutes, or an hour on a busy machine)', 'go', ['install', ...packages], { cwd, env });
  return bin;
}

/** A SPIRE server and agent of one trust domain, with a bundle endpoint over HTTPS, federated with ours. */
export interface Spire {
  bundleUrl: string;
  /** PEM that the bundle endpoint is verified with. */
  bundleCa: string;
  /** `server('bundle', 'show')`: a command of spire-server; gives what it prints. */
  server(...args: string[]): Promise<string>;
  /** `agent('api', 'fetch', 'jwt')`: what a workload of this user asks the agent. */
  agent(...args: string[]): Promise<string>;
  /** A directory of its own. */
  directory: string;
  close(): Promise<void>;
}

export async function startSpire(
  bin: string,
  trustDomain: string,
  ours: { trustDomain: string; bundleUrl: string; roots: string },
): Promise<Spire> {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-spire-'));
  const at = (name: string) => join(directory, name);
  const [port, bundlePort] = [await freePort(), await freePort()];
  const children: ChildProcess[] = [];
  const words: string[] = [];
  const start = (program: string, args: string[], env: Record<string, string> = {}) => {
    const child = spawn(join(bin, program), args, {
      cwd: directory,
      env: { PATH: process.env.PATH, HOME: directory, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        words.push(String(chunk));
        if (process.env.CONFORMANCE_VERBOSE) process.stderr.write(chunk);
      });
  };
  const kill = () => {
    for (const child of children) child.kill('SIGKILL');
  };
  process.once('exit', kill);
  const server = async (...args: string[]) =>
    (await run(join(bin, 'spire-server'), [...args, '-socketPath', at('server.sock')])).stdout;
  const agent = async (...args: string[]) =>
    (await run(join(bin, 'spire-agent'), [...args, '-socketPath', at('agent.sock')])).stdout;
  const patiently = async (what: string, work: () => Promise<unknown>) => {
    for (const until = Date.now() + 120_000; ; await delay(500)) {
      const problem = await work().then(
        () => undefined,
        (error: Error) => error,
      );
      if (!problem) return;
      const isOver = children.some(({ exitCode }) => exitCode !== null);
      if (isOver || Date.now() > until) throw new Error(`${what}: ${problem.message}\n${words.join('').slice(-3_000)}`);
    }
  };

  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
    ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
    ...['-keyout', at('endpoint.key'), '-out', at('endpoint.pem')],
  ]);
  // What the server takes for the system's authorities: it knows our HTTPS address by them, and by nothing else.
  writeFileSync(at('ours.pem'), ours.roots);
  writeFileSync(at('server.conf'), serverConf({ directory, trustDomain, port, bundlePort, ours }));
  tell('starting SPIRE …');
  start('spire-server', ['run', '-config', at('server.conf')], { SSL_CERT_FILE: at('ours.pem') });
  await patiently('the server does not start', () => server('healthcheck'));
  writeFileSync(at('bootstrap.pem'), await server('bundle', 'show', '-format', 'pem'));
  const host = `spiffe://${trustDomain}/host`;
  const token = /Token: (\S+)/.exec(await server('token', 'generate', '-spiffeID', host))?.[1] ?? '';
  writeFileSync(at('agent.conf'), agentConf({ directory, trustDomain, port, token }));
  start('spire-agent', ['run', '-config', at('agent.conf')]);
  await patiently('the agent does not start', () => agent('healthcheck'));
  await patiently('our bundle does not arrive', () =>
    server('bundle', 'list', '-id', `spiffe://${ours.trustDomain}`).then((text) => {
      if (text.trim() === '') throw new Error('there is none');
    }),
  );
  const uid = process.getuid?.() ?? 0;
  for (const name of ['orders', 'reports', 'other'])
    await server(
      ...['entry', 'create', '-parentID', host, '-spiffeID', `spiffe://${trustDomain}/${name}`],
      ...['-selector', `unix:uid:${uid}`, '-federatesWith', `spiffe://${ours.trustDomain}`],
    );
  const bundleCa = readFileSync(at('endpoint.pem'), 'utf8');
  await patiently('the workload gets no identity', () =>
    agent('api', 'fetch', 'jwt', '-audience', 'x', '-spiffeID', `spiffe://${trustDomain}/orders`),
  );
  return {
    ...{ bundleUrl: `https://localhost:${bundlePort}`, bundleCa, server, agent, directory },
    async close() {
      process.off('exit', kill);
      kill();
      rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}

interface ServerConf {
  directory: string;
  trustDomain: string;
  port: number;
  bundlePort: number;
  ours: { trustDomain: string; bundleUrl: string };
}

const serverConf = ({ directory, trustDomain, port, bundlePort, ours }: ServerConf) => `
server {
  bind_address = "127.0.0.1"
  bind_port = "${port}"
  socket_path = "${directory}/server.sock"
  trust_domain = "${trustDomain}"
  data_dir = "${directory}"
  log_level = "WARN"
  federation {
    bundle_endpoint {
      address = "127.0.0.1"
      port = ${bundlePort}
      refresh_hint = "1m"
      profile "https_web" {
        serving_cert_file {
          cert_file_path = "${directory}/endpoint.pem"
          key_file_path = "${directory}/endpoint.key"
          file_sync_interval = "1h"
        }
      }
    }
    federates_with "${ours.trustDomain}" {
      bundle_endpoint_url = "${ours.bundleUrl}"
      bundle_endpoint_profile "https_web" {}
    }
  }
}
plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "sqlite3"
      connection_string = "${directory}/datastore.sqlite3"
    }
  }
  KeyManager "memory" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} }
}
`;

interface AgentConf {
  directory: string;
  trustDomain: string;
  port: number;
  token: string;
}

const agentConf = ({ directory, trustDomain, port, token }: AgentConf) => `
agent {
  data_dir = "${directory}"
  log_level = "WARN"
  server_address = "127.0.0.1"
  server_port = "${port}"
  socket_path = "${directory}/agent.sock"
  trust_domain = "${trustDomain}"
  trust_bundle_path = "${directory}/bootstrap.pem"
  join_token = "${token}"
}
plugins {
  KeyManager "memory" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}
`;
