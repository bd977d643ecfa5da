/** What only Node has: a faster SHA-256 and directories. Not for browsers. */

import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { TileSource } from './confirmed.ts';
import { directoryBy, sha256By } from './native.ts';

export const nodeSha256 = sha256By(hash);

/** A log that was published to a directory. */
export const directorySource = (directory: string): TileSource => directoryBy(readFile, directory);
