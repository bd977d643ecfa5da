/** What a log sends to a witness (c2sp.org/tlog-witness, add-checkpoint), and the answer's cosignatures. */

import { VerifierError } from './merkle.ts';
import { malformed, openNote, parseCount, parseHash, toBase64, type VerifierKey } from './note.ts';

const MAX_PROOF_HASHES = 63;

/** `checkpoint`: the signed note. `proof` is empty where `oldSize` is 0. */
export type AddCheckpoint = { oldSize: number; proof: Uint8Array[]; checkpoint: string };

export function formatAddCheckpoint({ oldSize, proof, checkpoint }: AddCheckpoint): string {
  return [`old ${oldSize}`, ...proof.map(toBase64), '', checkpoint].join('\n');
}

export function parseAddCheckpoint(body: string): AddCheckpoint {
  const end = body.indexOf('\n\n');
  const [old = '', ...hashes] = body.slice(0, Math.max(end, 0)).split('\n');
  const size = /^old (.*)$/.exec(old)?.[1];
  if (size === undefined || hashes.length > MAX_PROOF_HASHES) throw malformed('the request');
  return { oldSize: parseCount(size, 'the old size'), proof: hashes.map(parseHash), checkpoint: body.slice(end + 2) };
}

/** The lines of the answer that `witness` has made for this checkpoint; by other keys nothing counts. */
export async function cosignaturesIn(
  answer: string,
  checkpoint: string,
  witness: VerifierKey,
): Promise<{ line: string; timeSeconds: number }[]> {
  if (answer !== '' && !answer.endsWith('\n')) throw malformed('the answer');
  const text = checkpoint.slice(0, checkpoint.lastIndexOf('\n\n') + 2);
  const { signatures } = await openNote(text + answer, [witness]);
  const lines = signatures.flatMap(({ line, timeSeconds }) => (timeSeconds === null ? [] : [{ line, timeSeconds }]));
  if (lines.length === 0) throw new VerifierError('signature', 'the answer has no cosignature of this witness');
  return lines;
}
