import type { ControlledTransaction } from 'kysely';
import type { Tables } from './schema/index.ts';
import type { Database, DatabaseTransaction, LogUnit, LogUnitResult } from './storage.ts';
import type { Writer } from './writer.ts';

export type Dialect = 'sqlite' | 'postgres';

/** What a database has to bring; everything else of `Storage` is the same for all. */
export interface Backend {
  readonly dialect: Dialect;
  readonly db: Database;
  readonly writer: Writer;
  /** Becomes the writer of this log, or says who is. */
  claimLog(log: string): Promise<void>;
  /** Serialisable, and only while the writer's turn is held. */
  begin(): Promise<ControlledTransaction<Tables>>;
  writeWithin(
    transaction: DatabaseTransaction,
    log: string,
    first: number,
    unit: LogUnit,
    /** Fences that this transaction has bumped itself. */
    bumped: ReadonlyMap<string, number>,
  ): Promise<LogUnitResult>;
  /** Called before fences are bumped: from here to the end of the transaction no dispatch may rely on the old versions. */
  holdFences(transaction: DatabaseTransaction, keys: readonly string[]): Promise<void>;
  /** Called before changes are written: from here to the end of the transaction nobody else takes sequences. */
  holdFeed(transaction: DatabaseTransaction): Promise<void>;
  readonly feed: FeedBackend;
  close(): Promise<void>;
}

/** What replicas tell each other without writing it down: there are changes to read, or some have been applied. */
export type FeedSignal = 'changes' | 'applied';

export interface FeedBackend {
  /** A connection that the rest of the house can't keep busy: a feed that waits for a search would stop the gate. */
  readonly db: Database;
  /** Whether other processes write changes too. */
  readonly isShared: boolean;
  /** How often to look without having been told. */
  readonly pollMs: number;
  /** The time by which leases and the age of changes are written down: the database's, where machines share it. */
  now(): Promise<number>;
  /** Tells the other replicas; may get lost. */
  signal(what: FeedSignal): Promise<void>;
  /** Calls the listener for what other replicas signal. */
  listen(listener: (what: FeedSignal) => void): void;
}
