import { formatTlogProof, inclusionProof } from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import type { StoredLogs } from './stored.ts';

/** One record with its proof: under the newest cosigned checkpoint that covers it, else under the newest. */
export async function receiptOf(
  stored: StoredLogs,
  log: string,
  sequence: number,
): Promise<{ entry: string; proof: string; vkey: string } | undefined> {
  const [cosigned, newest, vkey] = await Promise.all([
    stored.newestCosigned(log),
    stored.newest(log),
    stored.vkeyOf(log),
  ]);
  const checkpoint = cosigned && sequence < cosigned.size ? cosigned : newest;
  if (!checkpoint || !vkey || sequence >= checkpoint.size) return undefined;
  const read = stored.hashReader(log, checkpoint.size);
  const [[entry], proof] = await Promise.all([
    stored.entries(log, sequence, sequence + 1),
    inclusionProof(sequence, checkpoint.size, read, nodeSha256),
  ]);
  if (!entry) return undefined;
  return {
    entry: Buffer.from(entry).toString('utf8'),
    proof: formatTlogProof({ index: sequence, proof, checkpoint: checkpoint.note }),
    vkey,
  };
}
