import type { Client } from 'pg';
import { openSearchSession } from '../../storage/index.ts';
import type { Mark, RecordSource, SearchIndex } from './types.ts';
import { findByWindows, WINDOWS, type WindowReader } from './windows.ts';

/** Documents with a term, by estimate: no more than this are looked at together, without windows. */
const RARE = 2_000;
/** In a long log that is less than the planner says of a term that it knows nothing of: then these count as rare, up to this estimate. */
const UNKNOWN_MOST = 20_000;
/** No document has it: terms of fields and words begin with a letter. */
const NOWHERE = "'0nowhere'";

/** One document is added at a time, over all replicas: ids go up in the order of commits. */
const INDEXER_LOCK = 5_201_907;

/**
 * Each block of ids that a window can be is a term of its documents: so the inverted index alone gives what stands in it, and frequent terms
 * that never come together are followed through a block and not through the whole log.
 */
const blockTerm = (id: number, size: number) => `block${size}.${Math.floor(id / size)}`;
const blockTerms = (id: number) => WINDOWS.map((size) => blockTerm(id, size)).join(' ');

/** An inverted index (GIN) beside the records, in the same database: replicas share it, and whoever comes first does the work. */
export async function openPostgresIndex(url: string, rare = RARE): Promise<SearchIndex> {
  const [reads, writes] = await Promise.all([openSearchSession(url), openSearchSession(url)]);
  // It is made anew from the records where a crash has taken the last of it; the mark goes with it.
  await writes.query('set synchronous_commit = off');
  let names = new Map<number, string>();

  async function readNames(client: Client): Promise<Map<string, number>> {
    const { rows } = await client.query<{ n: number; id: string }>('select n, id from search_marks');
    names = new Map(rows.map(({ n, id }) => [n, id]));
    return new Map(rows.map(({ n, id }) => [id, n]));
  }

  const readerOf = (match: string): WindowReader => ({
    async newest() {
      const { rows } = await reads.query<{ id: number }>({
        name: 'newest',
        text: 'select coalesce(max(id), 0) as id from search_entries',
      });
      return rows[0]?.id ?? 0;
    },
    async at(id) {
      const { rows } = await reads.query<{ id: number; at: number }>({
        name: 'at',
        text: 'select id, at from search_entries where id <= $1 order by id desc limit 1',
        values: [id],
      });
      return rows[0];
    },
    async within(low, high, limit, size) {
      const isWhole = size === Number.POSITIVE_INFINITY;
      // What is rare is sorted (`id + 0`): in the order of ids the planner would go through the whole log for it, where it takes it for less rare.
      // Not prepared under a name: a plan that knows neither the terms nor the window would be the wrong one.
      const { rows } = await reads.query<{ id: number; log: number; sequence: number; at: number }>(
        `select id, log, sequence, at from search_entries where id >= $1 and id < $2
           ${match === '' ? '' : 'and terms @@ $4::tsquery'} order by ${isWhole ? 'id + 0' : 'id'} desc limit $3`,
        match === ''
          ? [low, high, limit]
          : [low, high, limit, isWhole ? match : `'${blockTerm(low, size)}' & ${match}`],
      );
      if (rows.some(({ log }) => !names.has(log))) await readNames(reads);
      return rows.map(({ log, ...row }) => ({ ...row, log: names.get(log) ?? '' }));
    },
  });

  /**
   * As the planner estimates it of each term by itself: the inverted index goes by its rarest. What it estimates of several together is no bound
   * of the work: two frequent ones may come together nowhere.
   */
  async function isRare(terms: readonly string[]): Promise<boolean> {
    let least = Number.POSITIVE_INFINITY;
    for (const term of terms) {
      least = Math.min(least, await estimateOf(term));
      if (least < rare) return true;
    }
    return least <= UNKNOWN_MOST && (await isAnalyzed()) && least <= (await estimateOf(NOWHERE));
  }

  /** Until it is, the planner says the same of every term. */
  async function isAnalyzed(): Promise<boolean> {
    const { rowCount } = await reads.query(
      "select from pg_stats where schemaname = current_schema and tablename = 'search_entries' and attname = 'terms'",
    );
    return rowCount === 1;
  }

  async function estimateOf(term: string): Promise<number> {
    const { rows } = await reads.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
      'explain (format json) select id from search_entries where terms @@ $1::tsquery',
      [term],
    );
    return rows[0]?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? Number.POSITIVE_INFINITY;
  }

  async function transact(work: () => Promise<void>): Promise<void> {
    await writes.query('begin');
    try {
      await work();
      await writes.query('commit');
    } catch (error) {
      await writes.query('rollback').catch(() => undefined);
      throw error;
    }
  }

  return {
    async marks() {
      const { rows } = await writes.query<Mark>('select id as log, next, hash from search_marks');
      return rows;
    },
    add: (documents, marks) =>
      transact(async () => {
        for (const { log, next, hash } of marks)
          await writes.query(
            'insert into search_marks (id, next, hash) values ($1, $2, $3) on conflict (id) do update set next = excluded.next, hash = excluded.hash',
            [log, next, hash],
          );
        if (documents.length === 0) return;
        const numbers = await readNames(writes);
        const { rows } = await writes.query<{ id: number }>('select coalesce(max(id), 0) as id from search_entries');
        const first = (rows[0]?.id ?? 0) + 1;
        await writes.query(
          `insert into search_entries (id, log, sequence, at, terms)
           select id, log, sequence, at, array_to_tsvector(string_to_array(terms, ' '))
             from unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::text[]) as t (id, log, sequence, at, terms)`,
          [
            documents.map((_, index) => first + index),
            documents.map(({ log }) => numbers.get(log) ?? 0),
            documents.map(({ sequence }) => sequence),
            documents.map(({ at }) => at),
            documents.map(({ terms }, index) => `${terms.join(' ')} ${blockTerms(first + index)}`),
          ],
        );
      }),
    async find(find) {
      const all = find.all.map((term) => `'${term}'`);
      const match = [...all, ...find.prefixes.map((term) => `'${term}':*`)].join(' & ');
      return findByWindows(readerOf(match), find, { inOne: await isRare(all) });
    },
    async remove(places) {
      if (places.length === 0) return;
      const numbers = await readNames(reads);
      await writes.query(
        `delete from search_entries d using unnest($1::int[], $2::bigint[]) as gone (log, sequence)
          where d.log = gone.log and d.sequence = gone.sequence`,
        [places.map(({ log }) => numbers.get(log) ?? 0), places.map(({ sequence }) => sequence)],
      );
    },
    // PostgreSQL does it by itself when it vacuums.
    purge: async () => false,
    clear: () =>
      transact(async () => {
        await writes.query('truncate search_entries, search_marks');
      }),
    async alone(work) {
      const { rows } = await writes.query<{ got: boolean }>('select pg_try_advisory_lock($1) as got', [INDEXER_LOCK]);
      if (!rows[0]?.got) return false;
      try {
        await work();
      } finally {
        await writes.query('select pg_advisory_unlock($1)', [INDEXER_LOCK]);
      }
      return true;
    },
    close: async () => {
      await Promise.all([reads.end(), writes.end()]);
    },
  };
}

export async function openPostgresSource(url: string): Promise<RecordSource> {
  const client = await openSearchSession(url);
  return {
    async logs() {
      const { rows } = await client.query<{ id: string }>('select id from logs order by id');
      return rows.map(({ id }) => id);
    },
    async read(log, from, limit) {
      const { rows } = await client.query({
        name: 'records-to-index',
        text: `select sequence, at, entry, leaf_hash as "leafHash" from records
                where log = $1 and sequence >= $2 order by sequence limit $3`,
        values: [log, from, limit],
      });
      return rows;
    },
    close: () => client.end(),
  };
}
