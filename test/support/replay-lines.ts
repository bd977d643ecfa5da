import type { ReplayEvent, ReplayResult } from '@gatehouse/protocol';
import { type ApiCall, ApiError } from './workspace.ts';

/** Reads the stream of `POST /policy/replay` to its result. */
export async function replayOf(
  url: string,
  headers: Record<string, string>,
  body: ApiCall['body'],
  signal?: AbortSignal,
): Promise<{ events: ReplayEvent[]; result: ReplayResult }> {
  const response = await fetch(`${url}/api/v1/policy/replay`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  });
  const text = await response.text();
  if (!response.ok) throw new ApiError(response.status, JSON.parse(text) as never);
  const events = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as ReplayEvent);
  const last = events.at(-1);
  if (last?.type !== 'result') throw new Error(JSON.stringify(last));
  return { events, result: last.result };
}
