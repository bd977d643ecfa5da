import {
  appendLeaf,
  emptyTree,
  encodeEntryBundle,
  formatCheckpoint,
  formatNote,
  leafHash,
  rootOfTile,
  TILE_WIDTH,
  type TileSource,
  tilePath,
  treeRoot,
} from '../src/index.ts';
import { type Signer, signatureBy } from './support.ts';

/** A published log in memory, file by file, so that any of them can be changed. */
export type Files = Map<string, Uint8Array>;

export const sourceOf =
  (files: Files): TileSource =>
  async (path) =>
    files.get(path);

/** As an honest log publishes it. */
export function publish(records: readonly Uint8Array[], log: Signer, ...witnesses: Signer[]): Files {
  const files: Files = new Map();
  const tree = emptyTree();
  let row = records.map((record) => {
    const leaf = leafHash(record);
    appendLeaf(tree, leaf);
    return leaf;
  });
  for (let level = 0; row.length > 0; level++) {
    const above: Uint8Array[] = [];
    for (let index = 0; index * TILE_WIDTH < row.length; index++) {
      const hashes = row.slice(index * TILE_WIDTH, (index + 1) * TILE_WIDTH);
      const tile = Buffer.concat(hashes);
      files.set(tilePath({ level, index, width: hashes.length }), tile);
      if (hashes.length === TILE_WIDTH) above.push(rootOfTile(tile));
      if (level > 0) continue;
      const entries = records.slice(index * TILE_WIDTH, (index + 1) * TILE_WIDTH);
      files.set(tilePath({ level: 'entries', index, width: entries.length }), encodeEntryBundle(entries));
    }
    row = above;
  }
  const text = formatCheckpoint({ origin: log.key.name, size: records.length, root: treeRoot(tree) });
  files.set(
    'checkpoint',
    Buffer.from(
      formatNote(
        text,
        [log, ...witnesses].map((each) => signatureBy(each, text)),
      ),
    ),
  );
  return files;
}

export const noteOf = (files: Files): string => Buffer.from(files.get('checkpoint') ?? []).toString('utf8');
