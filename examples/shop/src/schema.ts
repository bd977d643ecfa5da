import { DatabaseSync } from 'node:sqlite';
import { seed } from './seed.ts';

// No foreign key leads from refunds to orders: what was paid back must stay on the books when its order is deleted.
const tables = `
  CREATE TABLE customers (id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, country TEXT NOT NULL) STRICT;
  CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer TEXT NOT NULL,
    item TEXT NOT NULL,
    amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    ordered_at TEXT NOT NULL
  ) STRICT;
  CREATE TABLE refunds (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id INTEGER NOT NULL,
    amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
    currency TEXT NOT NULL,
    reason TEXT NOT NULL,
    refunded_at TEXT NOT NULL
  ) STRICT;
  CREATE TABLE tickets (
    id INTEGER PRIMARY KEY,
    customer TEXT NOT NULL,
    order_id INTEGER,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    opened_at TEXT NOT NULL
  ) STRICT;
  CREATE TABLE channels (name TEXT PRIMARY KEY, purpose TEXT NOT NULL) STRICT;
  CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    text TEXT NOT NULL,
    posted_at TEXT NOT NULL
  ) STRICT;
  CREATE TABLE exports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    destination TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    exported_at TEXT NOT NULL
  ) STRICT;
`;

const schemaVersion = 1;

/**
 * Opens the shop's SQLite file, creating and seeding it on the first start only: a table that was dropped stays dropped.
 * Several processes may share one file.
 */
export function openDatabase(file: string): DatabaseSync {
  const database = new DatabaseSync(file);
  database.exec('PRAGMA busy_timeout = 5000');
  transaction(database, () => {
    const row = database.prepare('PRAGMA user_version').get();
    if (row?.user_version === 0) {
      database.exec(tables);
      seed(database);
      database.exec(`PRAGMA user_version = ${schemaVersion}`);
    }
  });
  return database;
}

/** Runs `work` in one immediate transaction; rolls back and rethrows when it throws. */
export function transaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}
