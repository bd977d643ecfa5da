import type { ArgumentRole } from '@gatehouse/protocol';
import { canonical } from './canonical.ts';
import { type Effort, PATTERN_COST, STEPWISE_COST, spend } from './effort.ts';
import { createFields, createFieldsByUnit, PIECE_CHARS, type Source } from './fields.ts';
import { fold, reversed, rot13, squeeze } from './fold.ts';
import { flowLimits } from './limits.ts';
import type { Part } from './parts.ts';
import { holdsValue } from './statement.ts';
import { holds, holdsWord, LONG, longestStart, needlesOf } from './text-search.ts';
import type { Unit } from './units.ts';
import {
  amountsOf,
  couldQuote,
  PASSAGE_CHARS,
  passagesOf,
  searchable,
  spacedOut,
  type Untrusted,
} from './untrusted.ts';

export interface Result extends Source {
  /** Of a tool that did more than read, with what it was given: what else it names as an object is what it has made. */
  made?: { given: ReadonlySet<string> } | null;
  /** What a trusted part of it says again of its own call, and nobody had vouched for before: it vouches for nothing. */
  echoes?: (value: string | number, role: ArgumentRole | null) => boolean;
  /** The same of a trusted text, in the canonical writing of each role. */
  echoedIn?: (text: string) => ReadonlySet<string>;
}

/**
 * What one task has read, kept to find where a value came from. INVARIANT: what does not fit any more makes it incomplete, and then nothing
 * in it is trusted, because what was dropped could have said the same.
 */
export interface Seen {
  note(parts: readonly Part[], result: Result): void;
  /** The result that has it in an untrusted text, in whatever form; or that counts as having it, because `effort` was used up. */
  inUntrustedText(value: string | number, role: ArgumentRole, effort: Effort): Source | undefined;
  /** The result that has it in an untrusted field of its own. */
  inUntrustedField(value: string | number, role: ArgumentRole): Source | undefined;
  /** A trusted field names so what this task has made: prose with the same number in it has not chosen that. */
  inMade(value: string | number, role: ArgumentRole): Source | undefined;
  /** A trusted result says exactly this: of an amount, in a field whose name says the same unit. */
  inTrusted(value: string | number, role: ArgumentRole, effort: Effort, unit?: Unit): Source | undefined;
  /** The largest amount in the trusted fields of whatever has it: the smallest of these, where several have. NaN: some have another unit. */
  amountOf(value: string | number, role: ArgumentRole, unit: Unit): number | undefined;
  /** A trusted field has a time on this day (`2026-01-31`). */
  hasDay(day: string): boolean;
  /** The largest amount in any trusted field of that unit. */
  largestAmount(unit: Unit): number | undefined;
  /** The result in whose untrusted texts a passage of this one stands word for word; or that counts so, because `effort` was used up. */
  quotes(text: string, effort: Effort): Source | undefined;
  /** Pieces of it, one after the other, all stand in untrusted texts; or so it counts, because `effort` was used up in looking. */
  inPieces(value: string | number, effort: Effort): boolean;
  forget(): void;
  /** The last result that had an untrusted text. */
  readonly lastUntrusted: Source | undefined;
  readonly isComplete: boolean;
  readonly chars: number;
}

/** Shorter values stand in many texts by chance, so that they are found as words only. */
const SEARCHED_CHARS = 6;
const PIECES = 6;
const DAY_CHARS = 10;

export function createSeen(limits: { charsPerTask: number; valuesPerTask: number } = flowLimits): Seen {
  let untrusted: Untrusted[] = [];
  let untrustedFields = createFields();
  let trustedFields = createFieldsByUnit();
  let madeFields = createFields();
  let trustedTexts: (Source & { text: string; echoed: ReadonlySet<string> })[] = [];
  let amounts = new Map<number, Partial<Record<Unit, number>>>();
  let records = 0;
  let days = new Set<string>();
  let chars = 0;
  let values = 0;
  let isComplete = true;

  function forget(): void {
    untrusted = [];
    trustedTexts = [];
    untrustedFields = createFields();
    trustedFields = createFieldsByUnit();
    madeFields = createFields();
    amounts = new Map();
    days = new Set();
    chars = 0;
    values = 0;
    isComplete = false;
  }

  function makeRoom(more: number): boolean {
    chars += more;
    if (chars <= limits.charsPerTask && values <= limits.valuesPerTask) return true;
    forget();
    return false;
  }

  /** Something of that name was there before. */
  const isKnown = (text: string) =>
    [...Object.values(trustedFields), untrustedFields].some(
      (fields) => fields.find(text, 'identifier', true) !== undefined,
    );

  return {
    note(parts, { made, echoes, echoedIn, ...source }) {
      const texts: string[] = [];
      const before = records;
      for (const { value, isTrusted, isField, role: said, record: within, unit = 'whole' } of parts) {
        const text = String(value);
        const record = before + within;
        records = Math.max(records, record);
        // A field that is nothing but an address tells nobody to do anything, whether or not it was labelled.
        const role = said ?? (isField && !isTrusted && isAddress(text) ? 'recipient' : null);
        if (isTrusted && !isField) {
          if (!makeRoom(text.length)) return;
          trustedTexts.push({ ...source, text, echoed: echoedIn?.(text) ?? new Set() });
        } else if (isTrusted && echoes?.(value, role)) continue;
        else if (text.length <= flowLimits.valueChars && (isTrusted || (isField && role !== null))) {
          values++;
          if (!makeRoom(text.length)) return;
          const isNew = made && isTrusted && role === 'identifier' && !made.given.has(text) && !isKnown(text);
          (isTrusted ? trustedFields[unit] : untrustedFields).add({ ...source, value, role, record });
          if (isNew) madeFields.add({ ...source, value, role, record });
          if (isTrusted && role === 'date') days.add(text.slice(0, DAY_CHARS));
          const amount =
            isTrusted && role === 'amount' && within > 0 ? Number(canonical(value, role) ?? Number.NaN) : 0;
          if (amount > 0) {
            const own = amounts.get(record) ?? {};
            amounts.set(record, { ...own, [unit]: Math.max(amount, own[unit] ?? 0) });
          }
        } else if (!isTrusted) texts.push(text);
      }
      if (texts.length === 0) return;
      const { folded, squeezed } = searchable(texts);
      if (makeRoom(folded.length + squeezed.length)) untrusted.push({ ...source, folded, squeezed });
    },

    inUntrustedText(value, role, effort) {
      if (role === 'amount') {
        const amount = canonical(value, role);
        return amount === null ? undefined : untrusted.findLast((result) => amountsOf(result).has(amount));
      }
      const needles = needlesOf(String(value));
      return untrusted.findLast((result) =>
        needles.some(({ folded, squeezed }) =>
          squeezed.length >= SEARCHED_CHARS
            ? [squeezed, reversed(squeezed), rot13(squeezed)].some((form) => holds(result.squeezed, form, effort))
            : holdsWord(result.folded, folded.length <= LONG ? folded : squeezed, effort),
        ),
      );
    },

    inUntrustedField: (value, role) => untrustedFields.find(value, role, false),

    inMade: (value, role) => (role === 'identifier' && isComplete ? madeFields.find(value, role, false) : undefined),

    inTrusted(value, role, effort, unit = 'whole') {
      if (!isComplete) return undefined;
      for (const fields of role === 'amount' ? [trustedFields[unit]] : Object.values(trustedFields)) {
        const found = fields.find(value, role, true);
        if (found) return found;
      }
      const wanted = canonical(value, role);
      if (wanted === null) return undefined;
      return trustedTexts.findLast(
        ({ text, echoed }) =>
          !echoed.has(`${role} ${wanted}`) &&
          spend(effort, text.length * PATTERN_COST) &&
          holdsValue(text, wanted, role),
      );
    },

    amountOf(value, role, unit) {
      if (!isComplete) return undefined;
      const found = Object.values(trustedFields)
        .flatMap((fields) => fields.recordsOf(value, role))
        .flatMap((record) => amounts.get(record) ?? [])
        .map((own) => own[unit] ?? Number.NaN);
      return found.length === 0 ? undefined : found.reduce((least, each) => Math.min(least, each));
    },

    hasDay: (day) => isComplete && days.has(day),

    largestAmount(unit) {
      if (!isComplete) return undefined;
      const found = [...amounts.values()].flatMap((own) => own[unit] ?? []);
      return found.length === 0 ? undefined : found.reduce((most, each) => Math.max(most, each));
    },

    quotes(text, effort) {
      if (untrusted.length === 0 || !couldQuote(text)) return undefined;
      const spaced = spacedOut(fold(text));
      return untrusted.findLast((result) => {
        if (!spend(effort, result.folded.length + spaced.length * PATTERN_COST)) return true;
        const passages = passagesOf(result);
        for (let at = 0; at <= spaced.length - PASSAGE_CHARS; at++)
          if (passages.has(spaced.slice(at, at + PASSAGE_CHARS))) return true;
        return false;
      });
    },

    inPieces(value, effort) {
      let rest = squeeze(fold(String(value)));
      if (rest.length < 2 * PIECE_CHARS || rest.length > flowLimits.valueChars) return false;
      for (let pieces = 0; rest.length > 0 && pieces < PIECES; pieces++) {
        const first = rest.slice(0, PIECE_CHARS);
        let longest = 0;
        for (const { squeezed } of untrusted) {
          if (!spend(effort, squeezed.length)) return true;
          if (!squeezed.includes(first)) continue;
          if (!spend(effort, squeezed.length * STEPWISE_COST)) return true;
          longest = Math.max(longest, longestStart(squeezed, rest));
        }
        if (longest < PIECE_CHARS) return false;
        rest = rest.slice(longest);
      }
      return rest.length === 0;
    },

    forget,
    get lastUntrusted() {
      return untrusted.at(-1);
    },
    get isComplete() {
      return isComplete;
    },
    get chars() {
      return chars;
    },
  };
}

const isAddress = (text: string) => text.length <= 320 && /^[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+$/.test(text);
