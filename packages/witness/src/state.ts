import { DatabaseSync } from 'node:sqlite';

/** What was cosigned last of each log. */
export interface WitnessState {
  get(origin: string): { size: number; root: Uint8Array; note: string } | undefined;
  /** Durable when it returns true; false: what was cosigned last has another size than `expected` by now, and nothing was written. */
  advance(origin: string, expected: number, next: { size: number; root: Uint8Array; note: string }): boolean;
  /** Of which key it remembers this; undefined in a file that is new. */
  keyId(): string | undefined;
  /** From here on it is that key's. */
  bind(keyId: string): void;
  close(): void;
}

/** In one file. Looking at the old size and writing the new one are one statement, also between two processes. */
export function openWitnessState(file: string): WitnessState {
  const database = new DatabaseSync(file);
  database.exec(`pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = 5000;
    create table if not exists cosigned (
      origin text not null primary key, size integer not null, root blob not null, note text not null) strict, without rowid;
    create table if not exists witness (one integer not null primary key check (one = 1), key_id text not null) strict`);
  const bound = database.prepare('select key_id from witness');
  const bind = database.prepare('insert into witness (one, key_id) values (1, ?) on conflict do update set key_id = ?');
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
    keyId: () => (bound.get() as { key_id: string } | undefined)?.key_id,
    bind: (keyId) => void bind.run(keyId, keyId),
    close: () => database.close(),
  };
}
