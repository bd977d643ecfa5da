import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { RunningServer } from '@gatehouse/server';
import { dataDirOf } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';
import { explain } from './start-failure.ts';
import {
  addressOf,
  defaultReplica,
  extAuthzOf,
  freePort,
  hostOf,
  keyEncryptionOf,
  mutualTlsOf,
  type Options,
  recordOf,
  tlsOf,
} from './start-settings.ts';
import { announce, applyFirst } from './start-words.ts';

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
