import { formatCheckpoint, openCheckpoint, parseVerifierKey, sameBytes, VerifierError } from '@gatehouse/verifier';
import { type Clock, GatehouseError } from '../platform/index.ts';
import type { Storage } from '../storage/index.ts';
import { Edge, HASH_BYTES } from './edge.ts';
import { ledgerLimits } from './limits.ts';
import type { LogKey } from './log-key.ts';
import type { StoredCheckpoint, StoredLogs } from './stored.ts';

export type Tree = ReturnType<typeof createTree>;

/**
 * The Merkle tree over the records of this replica's log, and its checkpoints. The lowest hashes stand in the records themselves; above them
 * a row of `tiles` is written when 256 hashes below it are complete (C2SP tlog-tiles). INVARIANT: no checkpoint is signed that does not
 * extend the one before, whatever has become of the database meanwhile.
 */
export function createTree(storage: Storage, stored: StoredLogs, ownLog: string, key: LogKey, clock: Clock) {
  let edge: Edge | undefined;
  let running: Promise<void> = Promise.resolve();
  const listeners = new Set<(checkpoint: StoredCheckpoint) => void>();

  /** What is stored must give the root that was signed last. */
  async function load(): Promise<Edge> {
    const last = await stored.newest(ownLog);
    if (!last) return new Edge();
    try {
      const signed = await openCheckpoint(last.note, parseVerifierKey(key.vkey));
      const loaded = await Edge.load(signed.size, (level, tile, width) => stored.tile(ownLog, level, tile, width));
      if (signed.size === last.size && sameBytes(await loaded.root(), signed.root)) return loaded;
    } catch (error) {
      if (!(error instanceof VerifierError)) throw error;
    }
    throw broken('what is stored does not give the root of the last checkpoint');
  }

  function broken(why: string): GatehouseError {
    return new GatehouseError(
      'internal',
      'ledger.broken',
      `The record of ${ownLog} was changed behind Gatehouse: ${why}. Nothing more of it is signed. Run gatehouse log verify.`,
    );
  }

  async function integrateOnce(): Promise<void> {
    edge ??= await load();
    const size = await stored.sizeOf(ownLog);
    if (size < edge.size) throw broken(`it has ${size} records, and ${edge.size} were signed`);
    while (edge.size < size) edge = await extend(edge, Math.min(size, edge.size + ledgerLimits.recordsPerCheckpoint));
  }

  async function extend(from: Edge, size: number): Promise<Edge> {
    const leaves = await stored.leafHashes(ownLog, from.size, size);
    const next = from.copy();
    for (let at = 0; at < leaves.byteLength; at += HASH_BYTES) next.append(leaves.subarray(at, at + HASH_BYTES));
    const note = key.signNote(formatCheckpoint({ origin: key.name, size, root: await next.root() }));
    const at = clock.now();
    const rows = next.takeTouched().map((row) => ({ log: ownLog, ...row }));
    const checkpoint = { log: ownLog, size, note, at, cosignatures: '', cosigned_at: null };
    // One statement needs no turn of its own, for which the records that are being written would have to wait.
    if (rows.length === 0) await storage.db.insertInto('checkpoints').values(checkpoint).execute();
    else
      await storage.transaction(async (transaction) => {
        for (const row of rows) {
          await transaction
            .insertInto('tiles')
            .values(row)
            .onConflict((conflict) =>
              conflict.columns(['log', 'level', 'tile']).doUpdateSet({ width: row.width, hashes: row.hashes }),
            )
            .execute();
        }
        await transaction.insertInto('checkpoints').values(checkpoint).execute();
      });
    for (const listener of listeners) listener({ size, note, at, cosignedAt: null });
    return next;
  }

  return {
    /** Brings the tree up to date and signs it. Throws `ledger.broken` once it can't be done any more. */
    integrate(): Promise<void> {
      const next = running.then(integrateOnce);
      running = next.catch(() => undefined);
      return next;
    },
    /** Called for each checkpoint once it is durable. */
    onCheckpoint: (listener: (checkpoint: StoredCheckpoint) => void) => void listeners.add(listener),
  };
}
