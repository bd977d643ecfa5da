import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GatehouseError } from './errors.ts';

/** 32 random bytes in a file that only this user can read; made once. */
export function keyFile(dataDir: string, name: string): Buffer {
  const directory = join(dataDir, 'keys');
  const path = join(directory, name);
  if (!existsSync(path)) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(path, randomBytes(32).toString('base64url'), { mode: 0o600, flag: 'wx' });
  }
  const key = Buffer.from(readFileSync(path, 'utf8').trim(), 'base64url');
  // A start that was cut off here leaves an empty file, and an empty key would be one that everybody knows.
  if (key.byteLength !== 32)
    throw new GatehouseError(
      'internal',
      'key-file.damaged',
      `${path} does not hold a key of 32 bytes. Put it back from a backup; if this is the first start, delete it.`,
    );
  return key;
}
