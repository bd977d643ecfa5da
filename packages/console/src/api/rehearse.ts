import type { ManifestInput, ReplayEvent, ReplayResult } from '@gatehouse/protocol';
import { lines } from './client.ts';
import { ApiError } from './problem.ts';

/** Manifests over the workspace, or a proposal by its number. */
export type Rehearsed = { manifests: ManifestInput[] } | { proposal: number };

/** Follows a replay to its result. */
export async function rehearse(
  change: Rehearsed,
  onProgress: (progress: { decisions: number; share: number }) => void,
  signal: AbortSignal,
): Promise<ReplayResult> {
  for await (const line of lines('/policy/replay', change, signal)) {
    const event = JSON.parse(line) as ReplayEvent;
    if (event.type === 'progress') onProgress(event);
    else if (event.type === 'result') return event.result;
    else throw new ApiError(400, event.code, event.detail);
  }
  throw new ApiError(0, 'replay.ended', 'The server ended the replay without a result. Try again.');
}
