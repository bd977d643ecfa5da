import type { HistoryPlace } from '../../storage/index.ts';
import type { QueryTerms } from './terms.ts';

/** A record as the index knows it: where it stands, and what it is found by. */
export interface Document {
  log: string;
  sequence: number;
  at: number;
  terms: string[];
}

/** Up to where a log can be searched. `hash`: of the last record, so that an index of another database is not taken for this one's. */
export interface Mark {
  log: string;
  next: number;
  hash: string;
}

export interface Place {
  log: string;
  sequence: number;
}

export interface Hit extends Place {
  id: number;
}

export interface Find extends QueryTerms {
  from?: number | undefined;
  to?: number | undefined;
  /** Documents with smaller ids alone. */
  before?: number | undefined;
  limit: number;
  budgetMs: number;
}

export interface Found {
  hits: Hit[];
  /** Whoever goes on looks for ids below this; null when there is nothing more. */
  next: number | null;
}

export interface Answer extends Found {
  /** Whether everything that was recorded when it was asked for was looked through. */
  isWhole: boolean;
}

/**
 * What makes records findable: a list of documents in the order in which they came to be known, and for each term those that have it.
 * It holds nothing that is not in the record, so it is made anew whenever it doesn't fit.
 */
export interface SearchIndex {
  marks(): Promise<Mark[]>;
  /** With the new marks, all or nothing. */
  add(documents: readonly Document[], marks: readonly Mark[]): Promise<void>;
  find(find: Find): Promise<Found>;
  /** Records that are gone. */
  remove(places: readonly Place[]): Promise<void>;
  /** Overwrites some of what was removed and stands in the files still. Says whether there may be more. */
  purge(): Promise<boolean>;
  clear(): Promise<void>;
  /** Runs work when no other process does; false when one does. */
  alone(work: () => Promise<void>): Promise<boolean>;
  close(): Promise<void>;
}

/** Where the indexer reads what was recorded. */
export interface RecordSource {
  logs(): Promise<string[]>;
  read(
    log: string,
    from: number,
    limit: number,
  ): Promise<{ sequence: number; at: number; entry: string; leafHash: Uint8Array }[]>;
  close(): Promise<void>;
}

export interface SearchJob {
  place: HistoryPlace;
  indexEveryMs: number;
}

export type SearchRequest = { id: number } & (
  | { kind: 'find'; find: Find }
  | { kind: 'remove'; places: Place[] }
  | { kind: 'close' }
);
export type SearchReply = { id: number; value: unknown } | { id: number; error: string };
