import type { ActionRecord } from '@gatehouse/protocol';
import { type Clock, timeOfId } from '../../platform/index.ts';
import type { Kept } from './heads.ts';
import { AGENT_MS, isRecent, partsOfHolder, taskOfHolder } from './held.ts';
import { flowLimits } from './limits.ts';
import { storeMark } from './marks.ts';
import { SENSITIVE, UNTRUSTED } from './result-labels.ts';

interface Query {
  task?: string;
  agent?: string;
  person?: string;
  environment?: string;
  server?: string;
  operation?: string;
  kind: string;
  label?: string[];
  from?: number;
}

/** Port to the ledger: records, the newest first. A page may be short although there is a next one. */
export interface SearchRecords {
  search(query: Query & { limit: number; cursor?: string }): Promise<{
    records: readonly { record: ActionRecord }[];
    cursor: string | null;
    /** Everything that was recorded before it was asked for can be found. */
    isWhole: boolean;
  }>;
}

/** Some of the record can't be found yet: what is not found says nothing. */
export class RecordBehind extends Error {
  constructor() {
    super('the record is still being made searchable');
  }
}

/** Records that are looked at together. */
const PAGE = 50;
/** Of one question: what is rare in a long log is found within some, and what is not there has no more. */
const PAGES = 200;
/** Nothing of a younger task can have been put back from before this process knew it. */
const YOUNG_MS = 5_000;

/** What tasks of long ago have read is gone (`sweep.ts`). */
export function mayBeSwept(holder: string, now: number): boolean {
  const task = taskOfHolder(holder);
  return task !== null && timeOfId(task) < now - flowLimits.keptDays * 86_400_000;
}

/** Where the record says what a holder has: in which records, and what of each. */
interface Said extends Query {
  of(record: ActionRecord): string[];
}

/**
 * What the record says that a holder has, and its labels lack: these were put back to what they were, or taken away as a whole, which no seal
 * shows. Each outcome names what it brought, and each dispatch of a call that writes to a store what its writer had seen; both are written after
 * that was kept.
 */
export function createLogged({
  ledger,
  clock,
  kinds,
}: {
  ledger: SearchRecords;
  clock: Clock;
  kinds(): readonly string[];
}) {
  /** What was read before there were seals may have been forgotten since by rules of then. */
  let sealedAt: Promise<number> | undefined;

  const lacking = ({ holder, rows }: Kept, logged: readonly string[]) =>
    logged.filter((label) => !rows.some((row) => row.label === label && isRecent(holder, row, clock.now())));

  async function page(query: Query, cursor: string | null) {
    const { isWhole, ...found } = await ledger.search({ ...query, limit: PAGE, ...(cursor !== null && { cursor }) });
    if (!isWhole) throw new RecordBehind();
    return found;
  }

  /** The first that is found to fit, the newest first. */
  async function find(query: Query, fits: (record: ActionRecord) => boolean): Promise<ActionRecord | undefined> {
    let cursor: string | null = null;
    for (let pages = 0; pages < PAGES; pages++) {
      const found: Awaited<ReturnType<typeof page>> = await page(query, cursor);
      const first = found.records.find(({ record }) => fits(record));
      if (first) return first.record;
      cursor = found.cursor;
      if (cursor === null) return undefined;
    }
    throw new Error(`nothing was found on ${PAGES} pages, and there are more`);
  }

  async function whenSealed(): Promise<number> {
    sealedAt ??= find({ operation: 'flow.seal', kind: 'change' }, () => true).then((seal) =>
      seal ? timeOfId(seal.action_id) : 0,
    );
    return sealedAt.catch((error) => {
      sealedAt = undefined;
      throw error;
    });
  }

  function saidOf(holder: string): Said | null {
    const found = partsOfHolder(holder);
    switch (found?.kind) {
      case 'task':
        return { task: found.task, kind: 'outcome', of: brought };
      case 'agent':
        return { agent: found.agent, kind: 'outcome', of: brought };
      case 'agent-for': {
        const { agent, user } = found;
        const isFor = (record: ActionRecord) => (userOf(record) ?? null) === user;
        return {
          ...{ agent, kind: 'outcome', ...(user !== null && { person: user }) },
          // What was read again within that time was not written again.
          from: clock.now() - AGENT_MS / 2,
          of: (record) => (isFor(record) ? brought(record) : []),
        };
      }
      case 'store': {
        const { environment, server, store } = found;
        return { environment, server, kind: 'dispatch', label: [storeMark(store)], of: flowLabels };
      }
      default:
        return null;
    }
  }

  /** Whether the record has this label somewhere. */
  async function isSaid({ of, ...query }: Said, label: string): Promise<boolean> {
    const labels = [...(query.label ?? []), label];
    return (await find({ ...query, label: labels }, (record) => of(record).includes(label))) !== undefined;
  }

  return {
    /** Rejects with `RecordBehind` where that can't be said yet. */
    async missing(kept: Kept): Promise<string[]> {
      const { holder } = kept;
      const task = taskOfHolder(holder);
      if (task !== null && clock.now() - timeOfId(task) < YOUNG_MS) return [];
      if (mayBeSwept(holder, clock.now())) return [];
      const said = saidOf(holder);
      if (said === null) return [];
      const since: Said = { ...said, from: Math.max(said.from ?? 0, await whenSealed()) };
      const { of, ...query } = since;
      // Of most holders that is all.
      const { records, cursor } = await page(query, null);
      const found = new Set(records.flatMap(({ record }) => of(record)));
      if (cursor !== null)
        for (const label of [UNTRUSTED, ...kinds().map((kind) => `${SENSITIVE}${kind}`)])
          if (!found.has(label) && lacking(kept, [label]).length > 0 && (await isSaid(since, label))) found.add(label);
      return lacking(kept, [...found]);
    },

    doubt(kept: Kept, logged: readonly string[]): Kept {
      const missing = lacking(kept, logged);
      if (kept.problem !== null || missing.length === 0) return kept;
      return { ...kept, problem: `the record says that it has read ${missing.join(', ')}` };
    },
  };
}

const userOf = ({ actor_chain: chain }: ActionRecord): string | undefined =>
  chain.find(({ profile }) => profile === 'user')?.sub.replace(/^person:/, '');

const flowLabels = ({ labels }: ActionRecord): string[] =>
  labels.filter((label) => label === UNTRUSTED || label.startsWith(SENSITIVE));

function brought(record: ActionRecord): string[] {
  // What was held back has not been read; an outcome without a result repeats what its dispatch said.
  if (record.result_digest === null || record.labels.includes('held')) return [];
  return flowLabels(record);
}
