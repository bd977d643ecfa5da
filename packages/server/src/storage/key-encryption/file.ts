import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { GatehouseError } from '../../platform/index.ts';
import { keyFromText } from './key-text.ts';
import type { LocalKeySource } from './types.ts';

/** Where the key is when nobody says otherwise, and the only file that is made when it is not there. */
export const defaultKeyFile = (dataDir: string) => join(dataDir, 'keys', 'key-encryption.key');

/** `file:PATH`. */
export function fileSource(path: string, makeIfMissing = false): LocalKeySource {
  return {
    kind: 'local',
    name: `file:${path}`,
    async read() {
      if (makeIfMissing && !existsSync(path)) {
        mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
        writeFileSync(path, randomBytes(32).toString('base64url'), { mode: 0o600, flag: 'wx' });
      }
      let text: string;
      try {
        if ((statSync(path).mode & 0o007) !== 0)
          throw new GatehouseError(
            'internal',
            'key-encryption.exposed',
            `The key-encryption key ${path} can be read by every user of this host. Run: chmod 600 '${path}'`,
          );
        text = readFileSync(path, 'utf8');
      } catch (cause) {
        if (cause instanceof GatehouseError) throw cause;
        throw new GatehouseError(
          'unavailable',
          'key-encryption.unavailable',
          `The key-encryption key ${path} cannot be read (${(cause as NodeJS.ErrnoException).code}). Put the file there, or name another with --key-encryption.`,
          { cause },
        );
      }
      return keyFromText(text, path);
    },
  };
}
