import { encodeEntryBundle, parseTilePath, TILE_WIDTH, VerifierError } from '@gatehouse/verifier';
import type { StoredCheckpoint, StoredLogs } from './stored.ts';
import type { LogResource } from './types.ts';

/** C2SP tlog-tiles resources by path, of what the newest signed checkpoint commits to. */
export function createResources(
  stored: StoredLogs,
  shown: (log: string) => Promise<StoredCheckpoint | undefined>,
): (log: string, path: string) => Promise<LogResource | undefined> {
  return async (log, path) => {
    if (path === 'checkpoint') {
      const checkpoint = await shown(log);
      return (
        checkpoint && { body: Buffer.from(checkpoint.note), contentType: 'text/plain; charset=utf-8', immutable: false }
      );
    }
    const tile = tileAt(path);
    if (!tile) return undefined;
    const size = (await stored.newest(log))?.size ?? 0;
    const level = tile.level === 'entries' ? 0 : tile.level;
    const first = tile.index * TILE_WIDTH;
    if (first + tile.width > Math.floor(size / TILE_WIDTH ** level)) return undefined;
    const body =
      tile.level === 'entries'
        ? encodeEntryBundle(await stored.entries(log, first, first + tile.width))
        : await stored.tile(log, level, tile.index, tile.width);
    // Of what is removed by retention the entry has no bytes any more.
    return { body, contentType: 'application/octet-stream', immutable: tile.level !== 'entries' };
  };
}

function tileAt(path: string): ReturnType<typeof parseTilePath> | undefined {
  try {
    return parseTilePath(path);
  } catch (error) {
    // A path that is no tile's names nothing, like that of a tile that is not there.
    if (error instanceof VerifierError) return undefined;
    throw error;
  }
}
