import type { SupposedCall } from './policies.ts';
import type { Obligations } from './records.ts';

/**
 * `more`: something is let through, or is less watched, than before; `less`: something is stopped, or waits, that was not. `same`: it is
 * only written otherwise. `unseen`: it is not written as before, and nothing was found that is answered otherwise.
 */
export type Leaning = 'more' | 'less' | 'more-and-less' | 'same' | 'unseen';

export interface SupposedAnswer {
  decision: 'allow' | 'deny' | 'needs-approval';
  tier: number;
  code: string;
  reason: string;
  policies: string[];
  obligations?: Obligations;
}

/** A call that two sets of policies do not answer alike. `call` can be put into a test as it is. */
export interface AnswerChange {
  call: SupposedCall;
  before: SupposedAnswer;
  after: SupposedAnswer;
  permits: 'more' | 'less' | 'more-and-less';
}

/** One object that differs. */
export interface MeaningChange {
  kind: string;
  name: string;
  change: 'added' | 'removed' | 'changed';
  permits: Leaning;
  /** What is written otherwise. */
  what: string[];
  /** What lets more through, or less, beside the answers to single calls. */
  effects: { permits: 'more' | 'less' | 'more-and-less'; words: string }[];
  /** Calls that this change alone answers otherwise. */
  examples: AnswerChange[];
}

/** What differs between two sets of all that decides. */
export interface PolicyDifference {
  /** Nothing differs in what it means. */
  same: boolean;
  changes: MeaningChange[];
  /** Calls that only several changes together answer otherwise. */
  together: AnswerChange[];
  tried: {
    /** Calls that were made up and put to both. */
    calls: number;
    /** Pairs of a template and a tool that a change could concern. */
    pairs: number;
    /** Of these pairs, those for which there was no room. */
    left: number;
    /** Calls that are answered otherwise, by what becomes of them. */
    answers: { stops: number; runs: number; waits: number; otherwise: number };
  };
}
