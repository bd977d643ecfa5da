import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Config, LogLevel } from '@gatehouse/server';
import { CliFailure } from '../failure.ts';
import { toNumber } from '../verb.ts';

export interface Options {
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

type Tls = { certificateFile: string; keyFile: string; clientCertificates: boolean };

export function tlsOf(options: Options): Tls | undefined {
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
export function extAuthzOf(options: Options): Pick<Config, 'extAuthz'> {
  const given = options.extAuthzPort ?? process.env.GATEHOUSE_EXT_AUTHZ_PORT;
  return given === undefined ? {} : { extAuthz: { port: toNumber(given, '--ext-authz-port', 1, 65_535) } };
}

/** Who vouches for the record, and where it can be read. */
export function recordOf(options: Options): Pick<Config, 'witnesses' | 'publishLogTo' | 'publicLog'> {
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
export async function mutualTlsOf(
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
export function addressOf(url: string | undefined): string | undefined {
  if (url !== undefined && !URL.canParse(url)) throw new CliFailure('usage', 'url.invalid', `"${url}" is no address.`);
  return url?.replace(/\/+$/, '');
}

/** As it stands in an address: in lower case, and without a port. */
export function hostOf(given: string): string {
  const host = URL.parse(`https://${given}`)?.hostname;
  if (host === undefined || host !== given.toLowerCase())
    throw new CliFailure(
      'usage',
      'host.invalid',
      `--client-hosts takes names of hosts, like app.example, not "${given}".`,
    );
  return host;
}

/** Separated by line ends in the variable: a command may have any other character in it. */
export function keyEncryptionOf({ keyEncryption }: { keyEncryption?: string[] }): { keyEncryption?: string[] } {
  const named = process.env.GATEHOUSE_KEY_ENCRYPTION?.split('\n').map((line) => line.trim());
  const specs = keyEncryption ?? named?.filter((line) => line !== '') ?? [];
  return specs.length > 0 ? { keyEncryption: specs } : {};
}

export function defaultReplica(): string {
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

export async function freePort(host: string, wanted = 0): Promise<number> {
  const probe = createServer();
  const { promise, resolve: done, reject } = Promise.withResolvers<void>();
  probe.once('error', reject).listen(wanted, host, done);
  await promise;
  const { port } = probe.address() as { port: number };
  await new Promise((closed) => probe.close(closed));
  return port;
}
