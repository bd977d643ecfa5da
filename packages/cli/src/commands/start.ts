import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { Manifest } from '@gatehouse/protocol';
import type { Config, LogLevel, RunningServer } from '@gatehouse/server';
import { CliFailure } from '../failure.ts';
import { clean, type Output } from '../output.ts';
import { DEFAULT_DATA_DIR, DEFAULT_URL, dataDirOf } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

interface Options {
  dataDir?: string;
  host: string;
  port: string;
  publicUrl?: string;
  tlsCert?: string;
  tlsKey?: string;
  tlsClientCertificates?: boolean;
  /** False: no port for mutual TLS. */
  mtlsPort?: string | false;
  mtlsUrl?: string;
  database: string;
  replica?: string;
  keyEncryption?: string[];
  rotateKeysAfter?: string;
  keepArguments?: string;
  dynamicClients?: boolean;
  clientHosts?: string[];
  dpopNonces?: boolean;
  scimAgents?: boolean;
  extAuthzPort?: string;
  trustedProxies?: string[];
  witnessPolicy?: string;
  witnessFailClosed?: string;
  publishLog?: string;
  publicLog?: boolean;
  /** False: apply nothing to an empty database. */
  workspace?: string | false;
  logLevel: LogLevel;
}

/** What a clean stop may take; children that do not end are left to the system then. */
const STOP_TIMEOUT_MS = 15_000;

/** Runs the server until it is told to stop, and says what to do next. */
export const start: Run<Options> = async ({ options, out }) => {
  const port = toNumber(options.port, '--port', 0, 65_535) || (await freePort(options.host));
  const dataDir = dataDirOf(options);
  const tls = tlsOf(options);
  const publicUrl = addressOf(options.publicUrl) ?? `${tls ? 'https' : 'http'}://localhost:${port}`;
  const { mutualTls, missing } = await mutualTlsOf(options, port, publicUrl);
  // Whatever the server writes is for its own user only, wherever it forgets to say so.
  process.umask(0o077);
  const { startServer, createLog } = await import('@gatehouse/server');
  const consoleDir = join(import.meta.dirname, 'console');
  const config = {
    dataDir,
    database: options.database,
    host: options.host,
    port,
    publicUrl,
    tls,
    mutualTls,
    ...extAuthzOf(options),
    trustDomain: 'gatehouse.local',
    replica: options.replica ?? defaultReplica(),
    clients: {
      dynamic: options.dynamicClients === true,
      ...(options.clientHosts && { hosts: options.clientHosts.map(hostOf) }),
    },
    requireProofNonce: options.dpopNonces === true,
    scimAgents: options.scimAgents === true,
    ...(options.trustedProxies && { trustedProxies: options.trustedProxies }),
    ...recordOf(options),
    ...keyEncryptionOf(options),
    openTelemetry: Object.fromEntries(
      Object.entries(process.env).flatMap(([name, value]) =>
        name.startsWith('OTEL_') && value !== undefined ? [[name, value]] : [],
      ),
    ),
    ...(options.keepArguments !== undefined && {
      keepArgumentsDays: toNumber(options.keepArguments, '--keep-arguments', 0, 36_500),
    }),
    ...(options.rotateKeysAfter !== undefined && {
      rotateKeysAfterDays: toNumber(options.rotateKeysAfter, '--rotate-keys-after', 1, 3_650),
    }),
  };
  const extras = {
    log: createLog(options.logLevel),
    ...(existsSync(join(consoleDir, 'index.html')) && { consoleDir }),
  };
  const server = await startServer(config, extras).catch((error: unknown) => {
    throw explain(error, { host: options.host, ports: [port, ...(mutualTls ? [mutualTls.port] : [])], dataDir });
  });
  const stopped = stopOnSignal(server);
  if (missing !== undefined) out.note(missing);
  try {
    const isFirst = server.isEmpty();
    const applied = isFirst && options.workspace !== false ? await applyFirst(server, options.workspace, out) : null;
    await announce(server, { dataDir, publicUrl, port, applied, isDefault: applied?.isDefault === true }, out);
  } catch (error) {
    await server.close();
    throw error;
  }
  const isClean = await stopped;
  // Whatever a library still holds open does not keep a stopped server alive.
  process.exit(isClean ? 0 : 1);
};

type Tls = { certificateFile: string; keyFile: string; clientCertificates: boolean };

function tlsOf(options: Options): Tls | undefined {
  const { env } = process;
  const certificateFile = options.tlsCert ?? env.GATEHOUSE_TLS_CERT;
  const keyFile = options.tlsKey ?? env.GATEHOUSE_TLS_KEY;
  if (certificateFile === undefined && keyFile === undefined && !options.tlsClientCertificates) return undefined;
  if (certificateFile === undefined || keyFile === undefined)
    throw new CliFailure(
      'usage',
      'tls.incomplete',
      'TLS needs both --tls-cert (or GATEHOUSE_TLS_CERT) and --tls-key (or GATEHOUSE_TLS_KEY).',
    );
  return {
    certificateFile: resolve(certificateFile),
    keyFile: resolve(keyFile),
    clientCertificates: options.tlsClientCertificates === true,
  };
}

/** None unless wanted: it is there for Envoy, and speaks mutual TLS only. */
function extAuthzOf(options: Options): Pick<Config, 'extAuthz'> {
  const given = options.extAuthzPort ?? process.env.GATEHOUSE_EXT_AUTHZ_PORT;
  return given === undefined ? {} : { extAuthz: { port: toNumber(given, '--ext-authz-port', 1, 65_535) } };
}

/** Who vouches for the record, and where it can be read. */
function recordOf(options: Options): Pick<Config, 'witnesses' | 'publishLogTo' | 'publicLog'> {
  const { env } = process;
  const policyFile = options.witnessPolicy ?? env.GATEHOUSE_WITNESS_POLICY;
  const late = options.witnessFailClosed ?? env.GATEHOUSE_WITNESS_FAIL_CLOSED;
  const publishLogTo = options.publishLog ?? env.GATEHOUSE_PUBLISH_LOG;
  if (late !== undefined && policyFile === undefined)
    throw new CliFailure('usage', 'witnesses.policy', '--witness-fail-closed needs --witness-policy: who cosigns?');
  return {
    ...(policyFile !== undefined && {
      witnesses: {
        policyFile: resolve(policyFile),
        ...(late !== undefined && { failClosedAfterSeconds: toNumber(late, '--witness-fail-closed', 1, 86_400) }),
      },
    }),
    ...(publishLogTo !== undefined && { publishLogTo }),
    ...(options.publicLog === true && { publicLog: true }),
  };
}

/**
 * The port above the main one, a free one where that was free to choose, or none. `missing`: nobody has asked for that one, so a start
 * goes on without it when something else has it; another than the one above would not be where it was at the last start.
 */
async function mutualTlsOf(
  options: Options,
  port: number,
  publicUrl: string,
): Promise<{ mutualTls?: Config['mutualTls']; missing?: string }> {
  const given = options.mtlsPort ?? process.env.GATEHOUSE_MTLS_PORT;
  if (given === false || (given === undefined && options.tlsClientCertificates)) return {};
  const url = addressOf(options.mtlsUrl ?? process.env.GATEHOUSE_MTLS_URL);
  if (url !== undefined && !url.startsWith('https://'))
    throw new CliFailure('usage', 'url.invalid', `--mtls-url is an https address, not "${url}".`);
  const wanted =
    given === undefined ? (options.port === '0' ? 0 : port + 1) : toNumber(given, '--mtls-port', 0, 65_535);
  if (given === undefined && wanted !== 0 && !(wanted <= 65_535 && (await isFree(options.host, wanted))))
    return {
      missing: `! no port for mutual TLS: ${wanted} ${wanted > 65_535 ? 'is no port' : 'is taken'}. Name another with --mtls-port, or none with --no-mtls-port.`,
    };
  const mtlsPort = wanted || (await freePort(options.host));
  return { mutualTls: { port: mtlsPort, url: url ?? `https://${new URL(publicUrl).hostname}:${mtlsPort}` } };
}

/** Without a trailing slash. */
function addressOf(url: string | undefined): string | undefined {
  if (url !== undefined && !URL.canParse(url)) throw new CliFailure('usage', 'url.invalid', `"${url}" is no address.`);
  return url?.replace(/\/+$/, '');
}

/** As it stands in an address: in lower case, and without a port. */
function hostOf(given: string): string {
  const host = URL.parse(`https://${given}`)?.hostname;
  if (host === undefined || host !== given.toLowerCase())
    throw new CliFailure(
      'usage',
      'host.invalid',
      `--client-hosts takes names of hosts, like app.example, not "${given}".`,
    );
  return host;
}

interface Applied {
  directory: string;
  isDefault: boolean;
  objects: number;
  problems: { server: string; problem: string }[];
}

async function applyFirst(server: RunningServer, given: string | undefined, out: Output): Promise<Applied> {
  const directory = given ?? quickstartDirectory();
  const { loadManifests } = await import('@gatehouse/server/manifests');
  let manifests: Manifest[];
  try {
    manifests = loadManifests(directory);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new CliFailure(
      'noInput',
      'workspace.invalid',
      `The workspace ${directory} cannot be used, so nothing was applied:\n${detail}\nCorrect it, name another with --workspace, or start with --no-workspace.`,
      { cause },
    );
  }
  out.note(`First start: applying the workspace in ${directory} and asking its tool servers what they serve …`);
  const { changes, problems } = await server.apply(manifests, 'gatehouse');
  return { directory, isDefault: given === undefined, objects: changes.length, problems };
}

/** Beside the bundle, or above the sources. */
function quickstartDirectory(): string {
  const candidates = ['..', '../../../..'].map((up) => resolve(import.meta.dirname, up, 'examples', 'quickstart'));
  const found = candidates.find((directory) => existsSync(directory));
  if (found !== undefined) return found;
  throw new CliFailure(
    'noInput',
    'workspace.missing',
    'The quick-start workspace is not there. Name one with --workspace, or start with --no-workspace.',
  );
}

interface Started {
  dataDir: string;
  publicUrl: string;
  port: number;
  applied: Applied | null;
  isDefault: boolean;
}

async function announce(server: RunningServer, started: Started, out: Output): Promise<void> {
  const { dataDir, publicUrl, applied } = started;
  const mutualTlsUrl = server.config.mutualTls?.url;
  const links: { email: string; url: string; expiresAt: number }[] = [];
  for (const email of await server.unenrolled()) links.push({ email, ...(await server.createSignInLink(email)) });
  if (out.json) {
    const { address } = server;
    const problems = applied?.problems ?? [];
    out.printJson(
      { publicUrl, mcpUrl: `${publicUrl}/mcp`, mutualTlsUrl, address, dataDir, signInLinks: links, problems },
      { line: true },
    );
    return;
  }
  if (applied) out.note(`Applied ${applied.objects} objects.`);
  for (const { server: name, problem } of applied?.problems ?? [])
    out.note(`! tool server ${name} could not be asked what it serves: ${clean(problem)}`);
  out.print('');
  out.facts([
    ['Console', publicUrl],
    ['MCP', `${publicUrl}/mcp`],
    ...(mutualTlsUrl === undefined ? [] : ([['Mutual TLS', mutualTlsUrl]] as [string, string][])),
    ['Data', dataDir],
  ]);
  if (links.length > 0) out.print('\nSign in (each link works once, within 15 minutes; enrol a passkey there):');
  for (const { email, url } of links) out.print(`  ${clean(email)}  ${url}`);
  const command = commandFor(started);
  out.print('\nTry next:');
  const rows = [
    ['npm run demo', 'the whole story, with a real agent and real tools'],
    [command('agents'), 'who is registered, and in which state'],
    [command('log tail -f'), 'what is being done, as it happens'],
  ];
  const width = Math.max(...rows.map(([line = '']) => line.length));
  for (const [line = '', what] of rows) out.print(`  ${line.padEnd(width)}  ${what}`);
  if (started.isDefault) {
    const agent = 'agent-coding-copilot-staging';
    const url = publicUrl === DEFAULT_URL ? '' : ` --url ${publicUrl}`;
    out.print('\nConnect an MCP client: enrol the agent once, then give the client this command');
    out.print(`  ${command(`agent enroll ${agent}`)}`);
    out.print(
      `  ${executable()} mcp --agent ${agent} --template code-review --intent "review the sample project"${url}`,
    );
    const isOpen = server.config.clients?.dynamic === true;
    out.print('\nOr give it nothing but the MCP address, and consent in the browser');
    out.print(`  npx mcp-remote ${publicUrl}/mcp`);
    if (!isOpen)
      out.print('  (clients that register themselves, as this one does, need a start with --dynamic-clients)');
  }
  out.print('');
}

function commandFor({ dataDir, publicUrl }: Started): (line: string) => string {
  const byNpm = process.env.npm_lifecycle_event !== undefined;
  const url = publicUrl === DEFAULT_URL ? '' : ` --url ${publicUrl}`;
  const data = dataDir === resolve(DEFAULT_DATA_DIR) ? '' : ` --data-dir ${dataDir}`;
  return (line) => `${byNpm ? 'npm run gatehouse -- ' : 'gatehouse '}${line}${url}${data}`;
}

/** What another program can start from anywhere. */
function executable(): string {
  const candidates = ['../packages/cli/bin', '../bin'].map((up) => resolve(import.meta.dirname, up, 'gatehouse.mjs'));
  const found = candidates.find((path) => existsSync(path));
  return found === undefined ? 'gatehouse' : `node ${found}`;
}

/** Resolves when the server has stopped: true when it did so cleanly. A second signal does not wait. */
function stopOnSignal(server: RunningServer): Promise<boolean> {
  const { promise, resolve: done } = Promise.withResolvers<boolean>();
  let isStopping = false;
  const stop = () => {
    if (isStopping) process.exit(130);
    isStopping = true;
    process.stderr.write('\nStopping …\n');
    setTimeout(() => {
      process.stderr.write('It did not stop in time and is cut off.\n');
      done(false);
    }, STOP_TIMEOUT_MS).unref();
    server.close().then(
      () => done(true),
      (error: unknown) => {
        process.stderr.write(`It did not stop cleanly: ${error instanceof Error ? error.message : String(error)}\n`);
        done(false);
      },
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
  // As services are told to read their files again; a server without such files ends with its terminal.
  const reload = () => {
    server.refreshCertificates().catch((error: unknown) => {
      process.stderr.write(`The certificates were not read again: ${String(error)}\n`);
    });
  };
  process.on('SIGHUP', server.config.tls ? reload : stop);
  return promise;
}

function explain(
  error: unknown,
  { host, ports, dataDir }: { host: string; ports: number[]; dataDir: string },
): unknown {
  if (!(error instanceof Error)) return error;
  const port = 'port' in error && typeof error.port === 'number' ? error.port : ports[0];
  const flag = port === ports[0] ? '--port' : '--mtls-port';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const failure = (kind: 'unavailable' | 'usage' | 'noPermission', message: string) =>
    new CliFailure(kind, code, message, { cause: error });
  switch (code) {
    case 'EADDRINUSE':
      return failure(
        'unavailable',
        `Port ${port} on ${host} is taken. End what has it, or choose another with ${flag}.`,
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return failure('usage', `${host} is no address of this machine. Correct --host.`);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return failure(
        'noPermission',
        'syscall' in error && error.syscall === 'listen'
          ? `Port ${port} may not be used by this user. Choose one above 1023 with ${flag}.`
          : `The data directory ${dataDir} cannot be used (${code}). Choose another with --data-dir.`,
      );
    case 'tls.unreadable':
    case 'tls.mismatch':
      return new CliFailure('noInput', code, error.message, { cause: error });
    case 'storage.in-use':
      return failure(
        'unavailable',
        `The data directory ${dataDir} is in use by another Gatehouse server. It may be running already; otherwise choose another with --data-dir.`,
      );
    case 'storage.unavailable':
      return failure('unavailable', error.message);
    case 'storage.unknown-database':
    case 'witnesses.policy':
    case 'publish.place':
    case 'object-storage.bucket':
    case 'object-storage.endpoint':
    case 'key-encryption.spec':
      return failure('usage', error.message);
    case 'key-encryption.unavailable':
    case 'key-encryption.missing':
      return failure('unavailable', error.message);
    default:
      return error;
  }
}

/** Separated by line ends in the variable: a command may have any other character in it. */
export function keyEncryptionOf({ keyEncryption }: { keyEncryption?: string[] }): { keyEncryption?: string[] } {
  const named = process.env.GATEHOUSE_KEY_ENCRYPTION?.split('\n').map((line) => line.trim());
  const specs = keyEncryption ?? named?.filter((line) => line !== '') ?? [];
  return specs.length > 0 ? { keyEncryption: specs } : {};
}

function defaultReplica(): string {
  const name = hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
  return name || 'one';
}

/** True also where nothing can be said: the start itself then says what is wrong. */
async function isFree(host: string, port: number): Promise<boolean> {
  return freePort(host, port).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'EADDRINUSE',
  );
}

async function freePort(host: string, wanted = 0): Promise<number> {
  const probe = createServer();
  const { promise, resolve: done, reject } = Promise.withResolvers<void>();
  probe.once('error', reject).listen(wanted, host, done);
  await promise;
  const { port } = probe.address() as { port: number };
  await new Promise((closed) => probe.close(closed));
  return port;
}
