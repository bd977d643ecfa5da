import { DatabaseSync } from 'node:sqlite';

/** What was cosigned last of each log. */
export interface WitnessState {
  get(origin: string): { size: number; root: Uint8Array; note: string } | undefined;
  /** Durable when it returns true; false: what was cosigned last has another size than `expected` by now, and nothing was written. */
  advance(origin: string, expected: number, next: { size: number; root: Uint8Array; note: string }): boolean;
  close(): void;
}

/** In one file. Looking at the old size and writing the new one are one statement, also between two processes. */
export function openWitnessState(file: string): WitnessState {
  const database = new DatabaseSync(file);
  database.exec(`pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = 5000;
    create table if not exists cosigned (
      origin text not null primary key, size integer not null, root blob not null, note text not null) strict, without rowid`);
  const read = database.prepare('select size, root, note from cosigned where origin = ?');
  const first = database.prepare(
    'insert into cosigned (origin, size, root, note) values (?, ?, ?, ?) on conflict do nothing',
  );
  const next = database.prepare('update cosigned set size = ?, root = ?, note = ? where origin = ? and size = ?');
  return {
    get: (origin) => read.get(origin) as ReturnType<WitnessState['get']>,
    advance(origin, expected, { size, root, note }) {
      if (expected === 0 && Number(first.run(origin, size, root, note).changes) === 1) return true;
      return Number(next.run(size, root, note, origin, expected).changes) === 1;
    },
    close: () => database.close(),
  };
}
