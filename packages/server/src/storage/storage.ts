import type { Kysely, Transaction } from 'kysely';
import type { OverBudget, Settle, Spend } from './counters.ts';
import type { HistoryPlace } from './history.ts';
import type { CallEnd, OpenCall, Twin } from './open-calls.ts';
import type { Tables } from './schema/index.ts';
import type { Trouble } from './trouble.ts';

export type Database = Kysely<Tables>;
export type DatabaseTransaction = Transaction<Tables>;

/** Topics of the change feed; the key names the object. */
export type ChangeTopic =
  | 'agent'
  | 'baseline'
  | 'deputy'
  | 'object'
  | 'definition'
  | 'policy'
  | 'task'
  | 'token'
  | 'approval'
  | 'session'
  | 'key'
  | 'secret'
  | 'lease'
  /** Of a lease. */
  | 'renewal'
  | 'upstream';

export interface Change {
  sequence: number;
  topic: ChangeTopic;
  key: string;
  at: number;
}

/** A version that must still stand when the unit is written. */
export interface Guard {
  key: string;
  version: number;
}

/** A record ready to be written; its place in the log is given by the writer. */
export interface RecordRow {
  kind: string;
  actionId: string;
  at: number;
  operation: string;
  agent: string | null;
  task: string | null;
  person: string | null;
  tool: string | null;
  resource: string | null;
  effect: string | null;
  result: string | null;
  approval: string | null;
  ticket: string | null;
  entry: string;
  leafHash: Uint8Array;
}

/** Written once for each action and kind: a later one of the same action changes nothing. */
export interface BodyRow {
  actionId: string;
  kind: 'arguments' | 'result';
  salt: Uint8Array;
  body: string;
  at: number;
}

/**
 * One all-or-nothing write of the hot path: if every guard holds, the approval can be consumed and no budget is passed, the records and
 * bodies are written; else nothing of this unit is. Units of many calls share one transaction and one fsync.
 */
export interface LogUnit {
  guards: Guard[];
  /** Approval to move from `approved` (and not expired at `now`) to `consumed` by this action. */
  consumeApproval?: { id: string; actionId: string; now: number };
  /** What the call counts on its budgets. */
  spend?: Spend;
  /** The call that counted has ended. */
  settle?: Settle;
  /** A call that may change something is sent, unless another that does the same stands in its way. */
  opens?: OpenCall;
  /** It is known, or will not be known, what came of one. */
  ends?: CallEnd;
  records: RecordRow[];
  bodies: BodyRow[];
}

export type LogUnitResult =
  | { ok: true; sequences: number[] }
  | { ok: false; failed: 'guard'; key: string }
  | { ok: false; failed: 'approval' }
  | { ok: false; failed: 'twin'; twin: Twin }
  | { ok: false; failed: 'budget'; over: OverBudget };

/** An administrative change, to be recorded in the transaction that makes it (law 1). */
export interface AdministrativeChange {
  /** `agent.kill`, `manifest.apply`, `definition.approve`, `token.issue`, `task.start`, `person.sign-in` … */
  operation: string;
  /** Who did it: `person:EMAIL`, a SPIFFE ID, or `gatehouse` for what the house does by itself. */
  by: string;
  agent?: string;
  task?: string;
  tool?: string;
  environment?: string;
  approval?: string;
  /** The action that the change is about (an approval's decision); its timeline shows the change. */
  action?: string;
  /** What changed, in words. Never a secret. */
  changes: string[];
  detail?: string;
}

/** Port by which a lower room has changes recorded; composition/ plugs the ledger into it. Throws when they can't be recorded. */
export type RecordChange = (transaction: DatabaseTransaction, ...changes: AdministrativeChange[]) => Promise<void>;

/**
 * The same for what is issued often: recorded by the group-committing writer, and only while every guard holds. `failed` names the
 * fence that has moved; then nothing was written and nothing may be given out.
 */
export type RecordGuarded = (
  change: AdministrativeChange,
  guards: Guard[],
) => Promise<{ ok: true } | { ok: false; failed: string }>;

export interface Storage {
  readonly dialect: 'sqlite' | 'postgres';
  /** For a thread that reads what was recorded on connections of its own. */
  readonly place: HistoryPlace;
  /** Everything but the hot path's writes. On SQLite reads run in a worker of their own, beside the writer. */
  readonly db: Database;
  /**
   * Serialised with the group-committing writer: while `work` runs nothing else of this process is written, so it does nothing but
   * database work (bounded to 10 s), and writes through `transaction` only. It runs again after a serialisation failure.
   */
  transaction<T>(work: (transaction: DatabaseTransaction) => Promise<T>): Promise<T>;
  /** Opens this replica's log for appending: from here on `append` gives places after the last stored one. */
  openLog(log: { id: string; replica: string; vkey: string; now: number }): Promise<{ size: number }>;
  /**
   * Resolves when the unit is durable (fsync) or refused; rejects when it could not be written: then nothing may be sent. `soon`: nobody
   * waits for it, so that it is written with the next unit, or by itself some milliseconds later.
   */
  append(unit: LogUnit, soon?: boolean): Promise<LogUnitResult>;
  /** Same write, inside a transaction that changes something else: the change and its record stand or fall together. */
  appendWithin(transaction: DatabaseTransaction, unit: LogUnit): Promise<LogUnitResult>;
  /** Appends to the change feed; visible to followers when the transaction commits. */
  announce(transaction: DatabaseTransaction, topic: ChangeTopic, key: string, now: number): Promise<void>;
  /** Adds one to each fence (made at 1) and gives the new versions. */
  bumpFences(transaction: DatabaseTransaction, keys: Iterable<string>): Promise<Map<string, number>>;
  /** `bumpFences` of one. */
  bumpFence(transaction: DatabaseTransaction, key: string): Promise<number>;
  readonly feed: ChangeFeed;
  /** What the clock of the database says; of SQLite it is that of this machine. */
  now(): Promise<number>;
  /** What fails just now, since when, and why; in words that may name hosts and files. */
  troubles(): Trouble[];
  close(): Promise<void>;
}

/**
 * The change feed as one replica sees it. The listener is awaited before the change is acknowledged. From when it throws `fresh()` is
 * false, so that everything is denied, and it is told the same changes again until it has applied them.
 */
export interface ChangeFeed {
  /** `since`: a `head` of before the listener's rooms read what they hold; what changed between the two is told by nobody else. */
  start(replica: string, listener: (changes: Change[]) => Promise<void>, since?: number): Promise<void>;
  /** True while this replica has heard from the feed within its lease. */
  fresh(): boolean;
  /** Why it can't be followed. */
  trouble(): Trouble | undefined;
  /** Sequence of the newest committed change: after a transaction that announced, at least that of its own last change. */
  head(): Promise<number>;
  /** Waits until each live replica has acknowledged `sequence` or its lease has run out; says which. */
  waitForAll(sequence: number): Promise<{ acknowledged: string[]; expired: string[] }>;
  stop(): Promise<void>;
}

export const FEED_LEASE_MS = 5_000;
