/** One replay in a thread of its own, so that the gate answers as if there were none. */
import { parentPort, workerData } from 'node:worker_threads';
import { GatehouseError } from '../../platform/index.ts';
import { openHistory } from '../../storage/index.ts';
import { createDecider } from './decider.ts';
import { observedIn } from './observed.ts';
import { replay } from './replay.ts';
import type { ReplayJob, ReplayMessage } from './thread.ts';

const job = workerData as ReplayJob;
const stopped = new Int32Array(job.stop);
const tell = (message: ReplayMessage) => parentPort?.postMessage(message);
const TELL_EVERY_MS = 200;
let told = 0;

function onBatch(decisions: number, at: number): 'go on' | 'stop' {
  const now = performance.now();
  if (now - told > TELL_EVERY_MS) {
    told = now;
    const { since, until } = job.range;
    tell({ type: 'progress', decisions, share: Math.min(1, (at - since) / Math.max(1, until - since)) });
  }
  return Atomics.load(stopped, 0) === 0 ? 'go on' : 'stop';
}

async function run(): Promise<void> {
  const history = await openHistory(job.place);
  try {
    if (job.kind === 'observed') return tell({ type: 'observed', ...(await observedIn(history, job.range, onBatch)) });
    const before = createDecider(job.before);
    const after = job.after === null ? before : createDecider(job.after);
    tell({ type: 'result', result: await replay(history, { before, after }, job.range, job.trustDomain, onBatch) });
  } finally {
    await history.close();
  }
}

run().catch((error: unknown) => {
  const known = error instanceof GatehouseError ? error : undefined;
  tell({
    type: 'problem',
    code: known?.code ?? 'internal',
    detail: known?.message ?? (error instanceof Error ? (error.stack ?? error.message) : String(error)),
  });
});
