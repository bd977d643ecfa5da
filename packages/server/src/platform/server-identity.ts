import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { GatehouseError } from './errors.ts';
import type { Log } from './log.ts';

/** A server certificate with its chain, and the key, in PEM. */
export interface ServerIdentity {
  certificate: string;
  key: string;
}

/** One that its maker wants to replace in time. */
export interface RenewedIdentity extends ServerIdentity {
  isDue(): boolean;
}

/** Where a listener's certificate comes from, for as long as it listens. */
export interface IdentitySource {
  current: ServerIdentity;
  /** Looks whether there is a new one now; resolves to true when there was. What is wrong with it is logged, and the old one stays. */
  refresh(): Promise<boolean>;
}

/** Reads both files; throws `bad-request` / `tls.*` GatehouseErrors that name the file and what is wrong. */
export function openIdentityFiles(files: { certificateFile: string; keyFile: string }, log: Log): IdentitySource {
  let current = readIdentity(files);
  return {
    get current() {
      return current;
    },
    async refresh() {
      let read: ServerIdentity;
      try {
        read = readIdentity(files);
      } catch (error) {
        log.error('the TLS certificate could not be read again, so the one from before is still used', { error });
        return false;
      }
      if (read.certificate === current.certificate && read.key === current.key) return false;
      current = read;
      log.info('the TLS certificate was read again', { file: files.certificateFile });
      return true;
    },
  };
}

function readIdentity({ certificateFile, keyFile }: { certificateFile: string; keyFile: string }): ServerIdentity {
  const read = (what: string, path: string) => {
    try {
      return readFileSync(path, 'utf8');
    } catch (cause) {
      const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
      throw new GatehouseError('bad-request', 'tls.unreadable', `The TLS ${what} ${path} cannot be read (${reason}).`, {
        cause,
      });
    }
  };
  const identity = { certificate: read('certificate', certificateFile), key: read('key', keyFile) };
  try {
    createSecureContext({ cert: identity.certificate, key: identity.key });
  } catch (cause) {
    throw new GatehouseError(
      'bad-request',
      'tls.mismatch',
      `${certificateFile} and ${keyFile} are not a certificate and its key in PEM (${cause instanceof Error ? cause.message : cause}).`,
      { cause },
    );
  }
  return identity;
}

/** A certificate that is made here, and made again when it is due. Throws what the first `make` throws. */
export async function openOwnIdentity(
  make: () => Promise<RenewedIdentity>,
  { log }: { log: Log },
): Promise<IdentitySource> {
  let current = await make();
  return {
    get current() {
      return current;
    },
    async refresh() {
      if (!current.isDue()) return false;
      try {
        current = await make();
        return true;
      } catch (error) {
        log.error('the certificate of the mutual TLS port could not be renewed; it is tried again', { error });
        return false;
      }
    },
  };
}
