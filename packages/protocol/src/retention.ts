import type { RetentionManifest, RetentionPeriod } from './manifests/index.ts';

export interface RetentionClass {
  name: string;
  of: RetentionManifest['of'];
  arguments: RetentionPeriod | null;
  records: RetentionPeriod | null;
  published: RetentionManifest['published'];
  /** Why it keeps less than the minimum, and whether that counts; null where it does not. */
  belowMinimum: {
    reason: string;
    agreed: boolean;
    appliedBy: string;
    agreedBy: string[];
    /** Of the class as it was applied: what is agreed to. */
    digest: string;
  } | null;
}

/** A removal of whole records. `recorded`: the record that says so; `removedAt`: null while their content is still there. */
export interface RecordRemoval {
  id: string;
  log: string;
  ranges: string;
  records: number;
  /** Of these, how many a hold or a longer class has kept after all. */
  kept: number;
  rule: string;
  recorded: { log: string; sequence: number; at: number };
  removedAt: number | null;
  /** What is published has it no more. Null: nothing is published, or not yet. */
  publishedAt: number | null;
}

export interface RetentionView {
  classes: RetentionClass[];
  /** Of all rules together, as removals name it. */
  version: string;
  minimumDays: number;
  /** For actions that no class says anything of; null: for ever. */
  defaultArgumentsDays: number | null;
  removed: { records: number; oldest: number | null; newest: number | null };
  /** Counted over at most `of` of the oldest records whose time has come: what would go now, and what is kept although it is old enough. */
  next: {
    due: number;
    held: number;
    needed: number;
    of: number;
    complete: boolean;
    /** Receivers that have not taken yet what is old enough to go: it waits for them. */
    waitsFor: string[];
  };
  /** Records whose removal is recorded and not done. */
  underWay: number;
  /** The clock has leapt, or the server was away: until then no record goes. */
  pausedUntil: number | null;
  /** Why no record goes: the log or the classes are not what is on record. Null: nothing stands in the way. */
  problem: string | null;
  removals: RecordRemoval[];
}

export interface RetentionApi {
  'GET /retention': RetentionView;
  'POST /retention/:name/agree': RetentionView;
  'POST /retention/:name/withdraw': RetentionView;
}
