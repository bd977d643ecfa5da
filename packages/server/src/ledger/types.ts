import type {
  ActionRecord,
  ActionSummary,
  LogView,
  PublishingView,
  SequencedRecord,
  WitnessingView,
} from '@gatehouse/protocol';
import type { NamedLog, Removal, RemovalReport } from '@gatehouse/verifier';
import type { Json } from '../platform/index.ts';
import type {
  CallEnd,
  Guard,
  LogUnitResult,
  OpenCall,
  RecordChange,
  RecordGuarded,
  Settle,
  Spend,
} from '../storage/index.ts';
import type { Ranges } from './range.ts';

/** Fields of a record that the ledger fills itself. */
export type RecordInput = Omit<ActionRecord, 'v' | 'time' | 'replica' | 'arguments_digest' | 'result_digest'>;

export interface LedgerEntry {
  record: RecordInput;
  /** Bodies, digested with a random salt; the arguments are kept beside the record, the result only as its digest. */
  arguments?: Json;
  /** Of their digest, base64url, where something else has it too: an approval binds the arguments by the digest that their records have. */
  argumentsSalt?: string | undefined;
  result?: Json;
}

export interface SearchQuery {
  agent?: string;
  task?: string;
  person?: string;
  tool?: string;
  resource?: string;
  effect?: string;
  result?: string;
  approval?: string;
  ticket?: string;
  operation?: string;
  environment?: string;
  template?: string;
  kind?: string;
  /** Of the decision. */
  code?: string;
  /** A lease, or the name of a secret. */
  credential?: string;
  /** All tools of it. */
  server?: string;
  /** All of them. */
  label?: string[];
  /** Words, each of which stands in the text of the record (never in bodies); `refu*` is the beginning of one. */
  text?: string;
  /** False: without what was recorded because somebody looked at the record. */
  reads?: boolean;
  /** Milliseconds since the epoch. */
  from?: number;
  to?: number;
  /** Opaque, from the page before. A page may be short, or empty, although there is one. */
  cursor?: string;
  limit: number;
}

export interface LogResource {
  body: Uint8Array;
  contentType: string;
  /** What is at this path never changes. */
  immutable: boolean;
}

export interface LogsReport {
  ok: boolean;
  size: number;
  /** The first of a log, or of what is not there. */
  problem: string | null;
  /** `removals`: by which records something may have gone; of a log that is not whole nobody can say. */
  logs: { id: string; ok: boolean; size: number; problem: string | null; removed: number; removals: Removal[] }[];
}

/** `erased`: what is wrong is only that something is gone of which no record of this log says so. */
export type VerifiedLog = RemovalReport & {
  ok: boolean;
  size: number;
  problem: string | null;
  named: NamedLog[];
  erased: boolean;
};

export interface Ledger {
  readonly ranges: Ranges;
  /** Durable when it resolves with `ok`; nothing was written when it is refused; throws when it cannot be written. */
  append(
    entry: LedgerEntry,
    options?: {
      guards?: Guard[];
      consumeApproval?: { id: string; actionId: string };
      spend?: Spend;
      settle?: Settle;
      opens?: OpenCall;
      ends?: CallEnd;
    },
  ): Promise<LogUnitResult>;
  /**
   * The outcome of an action: enqueued in order. A crash before it is written shows as `unknown`. Resolves when it is durable, which is late
   * while the database is away; never rejects.
   */
  appendLater(entry: LedgerEntry, more?: { settle?: Settle | undefined; ends?: CallEnd | undefined }): Promise<void>;
  readonly recordChange: RecordChange;
  readonly recordGuarded: RecordGuarded;

  /** `isWhole`: everything that was recorded when it was asked for can be found. After an upgrade that takes a while. */
  search(query: SearchQuery): Promise<{ records: SequencedRecord[]; cursor: string | null; isWhole: boolean }>;
  actions(query: SearchQuery): Promise<{ actions: ActionSummary[]; cursor: string | null }>;
  action(
    actionId: string,
  ): Promise<{ summary: ActionSummary; records: SequencedRecord[]; arguments: Json | null } | undefined>;
  /** What opens the digest that the records of an action have of its arguments; null once they are erased. */
  argumentsSalt(actionId: string): Promise<Uint8Array | null>;
  /** Called for each record once it is durable on this replica, in order. Returns the way to stop. `onReady`: what becomes durable from then on is heard. */
  follow(listener: (record: SequencedRecord) => void, onReady?: () => void): () => void;

  /** This replica's own, with the key that it signs with. */
  readonly own: { id: string; vkey: string };
  logs(): Promise<LogView[]>;
  /** How this replica's own log is cosigned and published; null where it is not to be. */
  readonly witnessing: () => WitnessingView | null;
  readonly publishing: () => PublishingView | null;
  /** Why nothing more of this replica's log is signed, or null. */
  readonly problem: () => string | null;
  /** Signs a checkpoint over everything durable; null while the log is empty. */
  checkpoint(): Promise<string | null>;
  /** `.tlog-proof` text (c2sp.org/tlog-proof@v1) of one record, with the entry it proves. */
  receipt(log: string, sequence: number): Promise<{ entry: string; proof: string; vkey: string } | undefined>;
  /** How many records of a log others are shown to be signed. */
  shownSize(log: string): Promise<number>;
  /** Makes records unfindable whose content is gone. */
  unindex(places: { log: string; sequence: number }[]): Promise<void>;
  /** C2SP tlog-tiles resources by path (`checkpoint`, `tile/0/000`, `tile/entries/000`). */
  resource(log: string, path: string): Promise<LogResource | undefined>;
  /** Recomputes everything from the stored entries; reports the first thing that does not fit. */
  verify(
    log: string,
    options?: {
      /** Kept elsewhere: what they commit to must still be there. */
      checkpoints?: readonly string[];
      /** What other logs say was removed from this one. */
      removals?: readonly Removal[];
      onProgress?: (done: number, of: number) => void;
    },
  ): Promise<VerifiedLog>;
  /** Every log (or `log`) in this way, and that none is gone: neither one that another names nor one of which a checkpoint was kept. */
  verifyAll(options?: { log?: string | undefined; checkpoints?: readonly string[] | undefined }): Promise<LogsReport>;
  /** Gives each dispatch of this log that has no outcome an `unknown` one. For the start, when nothing of it can be in flight, whatever the clock says. `log`: another, which nobody writes to any more. */
  closeUnknown(log?: string): Promise<number>;
  close(): Promise<void>;
}
