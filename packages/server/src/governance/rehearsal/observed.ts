import type { ActionRecord, ObservedPolicy } from '@gatehouse/protocol';
import type { History, HistoryAfter } from '../../storage/index.ts';
import { rehearsalLimits as limits } from './limits.ts';
import type { ReplayRange } from './replay.ts';
import { createObserved } from './tally.ts';

/** What policies in observe mode would have changed, as the decisions of then say. */
export async function observedIn(
  history: History,
  { since, until, limit }: ReplayRange,
  onBatch: (decisions: number, at: number) => 'go on' | 'stop',
): Promise<{ decisions: number; items: ObservedPolicy[] }> {
  const observed = createObserved(limit);
  let decisions = 0;
  let reached: HistoryAfter = { at: since - 1, log: '~', sequence: Number.MAX_SAFE_INTEGER };
  for (;;) {
    const rows = await history.decisions(until, reached, limits.replayBatch);
    for (const { action_id, entry } of rows) {
      // The text is canonical: this member cannot be written in another way, nor stand inside a string.
      if (!entry.includes('"observed":{')) continue;
      const { decision } = JSON.parse(entry) as ActionRecord;
      if (decision?.observed) observed.add(action_id, decision.effect, decision.observed);
    }
    decisions += rows.length;
    const last = rows.at(-1);
    if (!last || rows.length < limits.replayBatch) break;
    reached = { at: last.at, log: last.log, sequence: last.sequence };
    if (onBatch(decisions, last.at) === 'stop') break;
  }
  return { decisions, items: observed.list() };
}
