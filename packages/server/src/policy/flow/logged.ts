import type { ActionRecord } from '@gatehouse/protocol';
import { type Clock, timeOfId } from '../../platform/index.ts';
import type { Kept } from './heads.ts';
import { agentOfHolder, taskOfHolder } from './held.ts';
import { flowLimits } from './limits.ts';
import { SENSITIVE, UNTRUSTED } from './result-labels.ts';

/** Port to the ledger: records, the newest first. */
export interface SearchRecords {
  search(query: {
    task?: string;
    agent?: string;
    kind: string;
    limit: number;
  }): Promise<{ records: readonly { record: ActionRecord }[] }>;
}

/** Outcomes that are looked at. */
const OUTCOMES = 50;
/** Nothing of a younger task can have been put back from before this process knew it. */
const YOUNG_MS = 5_000;

/** What tasks of long ago have read is gone (`sweep.ts`). */
export function mayBeSwept(holder: string, now: number): boolean {
  const task = taskOfHolder(holder);
  return task !== null && timeOfId(task) < now - flowLimits.keptDays * 86_400_000;
}

/**
 * What the record says that a holder has read, and its labels lack: these were put back to what they were, or taken away as a whole, which no
 * seal shows. Each outcome names what it brought, and is written after that was kept.
 */
export function createLogged({ ledger, clock }: { ledger: SearchRecords; clock: Clock }) {
  const lacking = ({ rows }: Kept, logged: readonly string[]) =>
    logged.filter((label) => !rows.some((row) => row.label === label));

  return {
    async missing(kept: Kept): Promise<string[]> {
      const [task, agent] = [taskOfHolder(kept.holder), agentOfHolder(kept.holder)];
      if (task !== null && clock.now() - timeOfId(task) < YOUNG_MS) return [];
      if (mayBeSwept(kept.holder, clock.now())) return [];
      const of = task !== null ? { task } : agent !== null ? { agent } : null;
      if (of === null) return [];
      const { records } = await ledger.search({ ...of, kind: 'outcome', limit: OUTCOMES });
      return lacking(kept, [...new Set(records.flatMap(({ record }) => brought(record)))]);
    },

    doubt(kept: Kept, logged: readonly string[]): Kept {
      const missing = lacking(kept, logged);
      if (kept.problem !== null || missing.length === 0) return kept;
      return { ...kept, problem: `the record says that it has read ${missing.join(', ')}` };
    },
  };
}

function brought({ labels, result_digest: digest }: ActionRecord): string[] {
  // What was held back has not been read; an outcome without a result repeats what its dispatch said.
  if (digest === null || labels.includes('held')) return [];
  return labels.filter((label) => label === UNTRUSTED || label.startsWith(SENSITIVE));
}
