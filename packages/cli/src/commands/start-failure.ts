import { CliFailure } from '../failure.ts';

/** What to do about a server that did not start. */
export function explain(
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
