import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Mark, RecordSource, SearchIndex } from './types.ts';
import { findByWindows, type WindowReader } from './windows.ts';

interface Row {
  id: number;
  log: number;
  sequence: number;
  at: number;
}

/** Raised when terms or tables are made differently: an index of another version is made anew. */
const VERSION = 3;

/**
 * Ids of one slice, which is a term of each of its documents. FTS5 heeds the bounds of ids only where everything asked for comes together: two
 * terms that never do would be followed through the whole log, and end where the slices end.
 */
const SLICE_BITS = 14;
const sliceTerm = (slice: number) => `slice${slice}`;
/** With a term of fewer documents than this, these are all that is looked at, and no slices are needed. */
const RARE = 2_000;
/** Kept as `application_id` of the file: what was removed is to be overwritten, and is being. */
const [UNPURGED, PURGING] = [1, 2];
/** Written in one go, so that a search waits only for a moment. */
const PAGES_OF_PURGE = 500;

/**
 * SQLite's full-text index (FTS5) in a file of its own beside the database, so that making records findable never keeps the gate's own
 * writes waiting. It need not survive a crash, and no backup has it.
 */
export function openSqliteIndex(dataDir: string, rare = RARE): SearchIndex {
  const file = join(dataDir, 'search.db');
  const database = open(file);
  const prepared = {
    marks: database.prepare('select id as log, next, hash from logs'),
    addLog: database.prepare(
      'insert into logs (id, next, hash) values (?, ?, ?) on conflict (id) do update set next = excluded.next, hash = excluded.hash',
    ),
    numbers: database.prepare('select n, id from logs'),
    addDocument: database.prepare('insert into documents (id, log, sequence, at) values (?, ?, ?, ?)'),
    addTerms: database.prepare('insert into terms (rowid, words) values (?, ?)'),
    newest: database.prepare('select coalesce(max(id), 0) as id from documents'),
    at: database.prepare('select id, at from documents where id <= ? order by id desc limit 1'),
    all: database.prepare(
      'select id, log, sequence, at from documents where id >= ? and id < ? order by id desc limit ?',
    ),
    matching: database.prepare(
      `select d.id, d.log, d.sequence, d.at from terms join documents d on d.id = terms.rowid
        where terms match ? and terms.rowid >= ? and terms.rowid < ? order by terms.rowid desc limit ?`,
    ),
    counted: database.prepare('select count(*) as n from (select rowid from terms where terms match ? limit ?)'),
    removeDocument: database.prepare('delete from documents where log = ? and sequence = ? returning id'),
    removeTerms: database.prepare('delete from terms where rowid = ?'),
    merge: database.prepare("insert into terms (terms, rank) values ('merge', ?)"),
  };
  let names = new Map<number, string>();
  const readNames = () => {
    names = new Map((prepared.numbers.all() as { n: number; id: string }[]).map(({ n, id }) => [n, id]));
  };
  readNames();
  const numberOf = (log: string) => [...names].find(([, id]) => id === log)?.[0];
  const newest = () => (prepared.newest.get() as { id: number }).id;
  const at = (id: number) => prepared.at.get(BigInt(id)) as { id: number; at: number } | undefined;

  const isRare = (term: string) => (prepared.counted.get(term, BigInt(rare)) as { n: number }).n < rare;

  const readerOf = (match: string, inSlices = false): WindowReader => ({
    newest: async () => newest(),
    at: async (id) => at(id),
    async within(low, high, limit) {
      const bounds = [BigInt(low), BigInt(high), BigInt(limit)] as const;
      const rows =
        match === ''
          ? prepared.all.all(...bounds)
          : prepared.matching.all(inSlices ? `(${slices(low, high)}) AND ${match}` : match, ...bounds);
      return (rows as unknown as Row[]).map(({ log, ...row }) => ({ ...row, log: names.get(log) ?? '' }));
    },
  });

  function transact(work: () => void): void {
    database.exec('begin immediate');
    try {
      work();
      database.exec('commit');
    } catch (error) {
      if (database.isTransaction) database.exec('rollback');
      throw error;
    }
  }

  return {
    marks: async () => prepared.marks.all() as unknown as Mark[],
    async add(documents, marks) {
      transact(() => {
        for (const { log, next, hash } of marks) prepared.addLog.run(log, BigInt(next), hash);
        if (marks.some(({ log }) => numberOf(log) === undefined)) readNames();
        const numbers = new Map([...names].map(([n, id]) => [id, BigInt(n)]));
        let id = newest();
        for (const { log, sequence, at, terms } of documents) {
          id++;
          prepared.addDocument.run(BigInt(id), numbers.get(log) ?? 0n, BigInt(sequence), BigInt(at));
          prepared.addTerms.run(BigInt(id), `${terms.join(' ')} ${sliceTerm(Math.floor(id / 2 ** SLICE_BITS))}`);
        }
      });
    },
    find(find) {
      const all = find.all.map((term) => `"${term}"`);
      const terms = [...all, ...find.prefixes.map((term) => `"${term}"*`)];
      // Of one term each document counts, so that its bounds are heeded.
      const isQuick = terms.length < 2 || all.some(isRare);
      return findByWindows(readerOf(terms.join(' '), !isQuick), find, { inOne: isQuick && terms.length > 0 });
    },
    async remove(places) {
      if (places.length === 0) return;
      transact(() => {
        for (const { log, sequence } of places) {
          const removed = prepared.removeDocument.all(BigInt(numberOf(log) ?? 0), BigInt(sequence)) as { id: number }[];
          for (const { id } of removed) prepared.removeTerms.run(BigInt(id));
        }
        database.exec(`pragma application_id = ${UNPURGED}`);
      });
    },
    async purge() {
      const { application_id: state } = database.prepare('pragma application_id').get() as { application_id: number };
      if (state === 0) return false;
      // A term that was removed stays in its segment until that is merged into another: all are, a part at a time.
      const changes = () => (database.prepare('select total_changes() as n').get() as { n: number }).n;
      const before = changes();
      prepared.merge.run(state === UNPURGED ? -PAGES_OF_PURGE : PAGES_OF_PURGE);
      const isDone = changes() - before < 2;
      database.exec(`pragma application_id = ${isDone ? 0 : PURGING}`);
      if (isDone) database.exec('pragma wal_checkpoint(truncate)');
      return !isDone;
    },
    async clear() {
      transact(() => {
        database.exec("insert into terms (terms) values ('delete-all'); delete from documents; delete from logs");
      });
      readNames();
    },
    async alone(work) {
      await work();
      return true;
    },
    async close() {
      database.close();
    },
  };
}

/** Every slice with ids in `[low, high)`. */
function slices(low: number, high: number): string {
  const [first, last] = [Math.floor(low / 2 ** SLICE_BITS), Math.floor((high - 1) / 2 ** SLICE_BITS)];
  return Array.from({ length: last - first + 1 }, (_, at) => `"${sliceTerm(first + at)}"`).join(' OR ');
}

function open(file: string): DatabaseSync {
  for (const mayBegin of [true, false]) {
    if (!existsSync(file)) closeSync(openSync(file, 'wx', 0o600));
    const database = new DatabaseSync(file, { timeout: 2_000, defensive: true });
    try {
      database.exec(
        'pragma journal_mode = wal; pragma synchronous = off; pragma trusted_schema = off; pragma temp_store = memory; pragma cache_size = -16384; pragma secure_delete = on',
      );
      const { user_version: version } = database.prepare('pragma user_version').get() as { user_version: number };
      if (version === VERSION) return database;
      if (version === 0) {
        database.exec(`
          create table logs (n integer primary key, id text not null unique, next integer not null, hash text not null) strict;
          create table documents (id integer primary key, log integer not null, sequence integer not null, at integer not null) strict;
          create index documents_place on documents (log, sequence);
          create virtual table terms using fts5(words, content='', contentless_delete=1, detail=none, tokenize='ascii');
          pragma user_version = ${VERSION}`);
        return database;
      }
    } catch (error) {
      // A file that a crash has left half written.
      if (!mayBegin) throw error;
    }
    database.close();
    for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true });
  }
  throw new Error(`${file} cannot be made`);
}

export function openSqliteSource(file: string): RecordSource {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 2_000, defensive: true });
  database.exec('pragma trusted_schema = off; pragma temp_store = memory; pragma cache_size = -4096');
  const logs = database.prepare('select id from logs order by id');
  const read = database.prepare(
    'select sequence, at, entry, leaf_hash as leafHash from records where log = ? and sequence >= ? order by sequence limit ?',
  );
  return {
    logs: async () => (logs.all() as { id: string }[]).map(({ id }) => id),
    read: async (log, from, limit) => read.all(log, BigInt(from), BigInt(limit)) as never,
    async close() {
      database.close();
    },
  };
}
