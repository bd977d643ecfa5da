import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TileSource } from '@gatehouse/verifier';
import { CliFailure } from '../failure.ts';
import type { operatorOf } from '../server-address.ts';

/** A log that can be read, and the key to believe it by, where somebody has given one. */
export interface LogToRead {
  id: string;
  vkey: string | undefined;
  source: TileSource;
}

/** What a server serves, with the keys that it says. */
export async function logsOfServer(operator: ReturnType<typeof operatorOf>): Promise<LogToRead[]> {
  const { items } = await operator.call('GET /logs');
  return items
    .filter(({ checkpoint }) => checkpoint !== null)
    .map(({ id, vkey }) => ({
      id,
      vkey,
      async source(path) {
        try {
          return await operator.bytes(`/log/${encodeURIComponent(id)}/${path}`);
        } catch (error) {
          // Records that are gone from the database are gone for whoever reads its tiles.
          if (['ledger.gap', 'ledger.tile-missing'].includes((error as { code?: string }).code ?? '')) return undefined;
          throw error;
        }
      },
    }));
}

/** A directory or an address that has a log, or a directory of directories that have one each. */
export async function logsOfPlace(place: string): Promise<LogToRead[]> {
  const { fetchSource } = await import('@gatehouse/verifier');
  const { directorySource } = await import('@gatehouse/verifier/node');
  if (/^https?:\/\//.test(place)) return [await named(fetchSource(place), place)];
  const directories = [place, ...subdirectories(place)];
  const found: LogToRead[] = [];
  for (const directory of directories) {
    const source = directorySource(directory);
    if (await source('checkpoint')) found.push(await named(source, directory));
  }
  if (found.length === 0)
    throw new CliFailure(
      'noInput',
      'log.none',
      `${place} has no log: no file named "checkpoint" is in it or one level below.`,
    );
  return found;
}

async function named(source: TileSource, place: string): Promise<LogToRead> {
  const note = await source('checkpoint').catch((cause: unknown) => {
    const why = cause instanceof Error ? ((cause.cause as Error | undefined)?.message ?? cause.message) : String(cause);
    throw new CliFailure('unavailable', 'log.unreachable', `${place} cannot be read: ${why}.`, { cause });
  });
  return { id: new TextDecoder().decode(note ?? new Uint8Array()).split('\n', 1)[0] || place, vkey: undefined, source };
}

function subdirectories(place: string): string[] {
  try {
    return readdirSync(place)
      .map((name) => join(place, name))
      .filter((path) => statSync(path).isDirectory())
      .sort();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new CliFailure('noInput', 'log.unreadable', `${place} cannot be read (${code}).`, { cause });
  }
}
