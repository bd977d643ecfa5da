import type { ActionRecord } from '@gatehouse/protocol';
import { termsOf } from './terms.ts';
import type { Document, Mark, RecordSource, SearchIndex } from './types.ts';

/** Records of each log that are made findable in one transaction: what somebody searches meanwhile waits for one of these. */
const BATCH = 512;

/**
 * Brings an index up to what was recorded. Each log is read in its order; where there are several, their records are added by time, so
 * that what is newest stands last.
 */
export function createIndexer(source: RecordSource, index: SearchIndex) {
  /** Undefined: they are of another database. */
  async function readMarks(): Promise<Map<string, Mark> | undefined> {
    const found = await index.marks();
    for (const { log, next, hash } of found) {
      if (next === 0) continue;
      const [last] = await source.read(log, next - 1, 1);
      if (last?.sequence !== next - 1 || hex(last.leafHash) !== hash) return undefined;
    }
    return new Map(found.map((mark) => [mark.log, mark]));
  }

  async function step(atMost: number): Promise<number> {
    // Read anew each time where other replicas write as well.
    const marks = await readMarks();
    if (!marks) await index.clear();
    const logs = await source.logs();
    const read: { log: string; rows: Awaited<ReturnType<RecordSource['read']>> }[] = [];
    const each = Math.max(1, Math.min(BATCH, Math.floor(atMost / Math.max(1, logs.length))));
    for (const log of logs) {
      const rows = await source.read(log, marks?.get(log)?.next ?? 0, each);
      if (rows.length > 0) read.push({ log, rows });
    }
    if (read.length === 0) return 0;
    // What comes after the last record of a full page is not known yet.
    const horizon = Math.min(
      Number.POSITIVE_INFINITY,
      ...read.filter(({ rows }) => rows.length === each).map(({ rows }) => Math.max(...rows.map(({ at }) => at))),
    );
    const documents: Document[] = [];
    const reached: Mark[] = [];
    for (const { log, rows } of read) {
      let last: (typeof rows)[number] | undefined;
      for (const row of rows) {
        if (row.at > horizon && read.length > 1) break;
        last = row;
        const record = parse(row.entry);
        // One whose text is gone is found by nothing.
        if (record) documents.push({ log, sequence: row.sequence, at: row.at, terms: termsOf(record) });
      }
      if (last) reached.push({ log, next: last.sequence + 1, hash: hex(last.leafHash) });
    }
    documents.sort((a, b) => a.at - b.at);
    await index.add(documents, reached);
    return documents.length || reached.length;
  }

  return {
    /** Until nothing is left, and then it says so, or so many records were added. Nothing is done while another replica does it. */
    async catchUp(atMost: number, goOn: () => Promise<boolean> = async () => true): Promise<boolean> {
      let isDone = false;
      await index.alone(async () => {
        for (let left = atMost; left > 0 && !isDone && (await goOn()); ) {
          const added = await step(left);
          isDone = added === 0;
          left -= added;
        }
      });
      return isDone;
    },

    /** Whether nothing is left, also while another replica is at it. */
    async isDone(): Promise<boolean> {
      const marks = await readMarks();
      if (!marks) return false;
      for (const log of await source.logs())
        if ((await source.read(log, marks.get(log)?.next ?? 0, 1)).length > 0) return false;
      return true;
    },
  };
}

function parse(entry: string): ActionRecord | undefined {
  try {
    const value = JSON.parse(entry) as ActionRecord;
    return Array.isArray(value.labels) && Array.isArray(value.actor_chain) ? value : undefined;
  } catch (error) {
    // Edited behind our back: verifying the log finds it.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
