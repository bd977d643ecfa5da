import { hash } from 'node:crypto';
import {
  type AddCheckpoint,
  type OpenedCheckpoint,
  openNote,
  parseAddCheckpoint,
  parseCheckpoint,
  sameBytes,
  VerifierError,
  type VerifierKey,
  verifyConsistency,
} from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import type { WitnessKey } from './key.ts';
import type { WitnessState } from './state.ts';

export interface Answer {
  status: number;
  contentType: string;
  body: string;
}

export interface Witness {
  addCheckpoint(body: string): Promise<Answer>;
  /** What was cosigned last, by the hex SHA-256 of the log's origin. */
  checkpoint(originHash: string): Answer;
}

const answer = (status: number, body: string, contentType = 'text/plain; charset=utf-8'): Answer => ({
  status,
  contentType,
  body,
});

/**
 * Cosigns what extends what it has cosigned before (c2sp.org/tlog-witness), and nothing else. It knows logs by their keys, and believes
 * nobody who asks. INVARIANT: what is answered was written first, so that no crash lets it cosign two pasts.
 */
export function createWitness(deps: {
  key: WitnessKey;
  logs: readonly VerifierKey[];
  state: WitnessState;
  now?: () => number;
}): Witness {
  const { key, logs, state, now = Date.now } = deps;
  const origins = new Map(logs.map(({ name }) => [hash('sha256', name), name]));

  async function addCheckpoint(body: string): Promise<Answer> {
    let request: AddCheckpoint;
    let checkpoint: Pick<OpenedCheckpoint, 'origin' | 'size' | 'root'>;
    let text: string;
    try {
      request = parseAddCheckpoint(body);
      const end = request.checkpoint.lastIndexOf('\n\n');
      text = request.checkpoint.slice(0, end + 1);
      checkpoint = parseCheckpoint(text);
    } catch (error) {
      return answer(400, `${(error as Error).message}\n`);
    }
    const { origin, size, root } = checkpoint;
    const keys = logs.filter(({ name }) => name === origin);
    if (keys.length === 0) return answer(404, 'this log is not known here\n');
    let signed: string[];
    try {
      const { signatures } = await openNote(request.checkpoint, keys);
      signed = signatures.map(({ line }) => line);
    } catch (error) {
      if (!(error instanceof VerifierError)) throw error;
      return answer(error.kind === 'signature' ? 403 : 400, `${error.message}\n`);
    }

    const { oldSize, proof } = request;
    if (oldSize > size) return answer(400, 'the old size is larger than the size of the checkpoint\n');
    // From here to the end nothing is awaited: what was cosigned last does not change in between, and the write looks once more.
    const last = state.get(origin);
    const conflict = (known: number) => answer(409, `${known}\n`, 'text/x.tlog.size');
    if (oldSize !== (last?.size ?? 0)) return conflict(last?.size ?? 0);
    const problem = inconsistency(last, { oldSize, proof, size, root });
    if (problem !== null) return answer(422, `${problem}\n`);
    const line = key.cosign(text, BigInt(Math.floor(now() / 1_000)));
    const note = `${text}\n${signed.join('\n')}\n${line}`;
    if (!state.advance(origin, oldSize, { size, root, note })) return conflict(state.get(origin)?.size ?? 0);
    return answer(200, line);
  }

  return {
    addCheckpoint,
    checkpoint(originHash) {
      const origin = origins.get(originHash);
      const last = origin === undefined ? undefined : state.get(origin);
      return last ? answer(200, last.note) : answer(404, 'nothing of such a log was cosigned here\n');
    },
  };
}

function inconsistency(
  last: { root: Uint8Array } | undefined,
  { oldSize, proof, size, root }: { oldSize: number; proof: Uint8Array[]; size: number; root: Uint8Array },
): string | null {
  if (size === 0 && !sameBytes(root, nodeSha256(new Uint8Array()))) return 'an empty tree has another root';
  if (oldSize === 0) return proof.length === 0 ? null : 'from nothing on there is nothing to prove';
  if (!last) return 'nothing of this log was cosigned before';
  const claim = { oldSize, newSize: size, oldRoot: last.root, newRoot: root, proof };
  return verifyConsistency(claim, nodeSha256) ? null : 'this does not extend what was cosigned before';
}
