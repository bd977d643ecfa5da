/**
 * Records that retention has removed. The content goes, and the leaf hash stays in the tree: a bundle has an entry of no bytes there. That
 * is in order where a record of a log that was verified says it: which records of which log went, by which rule. Where none does, somebody
 * has taken the content away.
 */

import { HASH_BYTES } from './merkle.ts';
import type { Sha256 } from './sha256.ts';
import type { Fault } from './verify.ts';

/** Records of one removal: what is hashed for its digest is held at once. */
export const MAX_REMOVED = 10_000;

/**
 * `ranges`: first and end of each, ascending. `rule`: in words, as it was recorded. `by`: where the record stands that says so. `keeps`: what
 * it takes back of the removal that has the same `id`: those were kept after all, and excuse nothing.
 */
export type Removal = {
  id: string;
  keeps: boolean;
  log: string;
  ranges: [from: number, to: number][];
  digest: string;
  rule: string;
  by: { log: string; index: number };
};

/** What is found missing while a log is read, and what it says of removals, of its own records and of other logs'. */
export type Absences = { ranges: number[]; recorded: Removal[] };

export const emptyAbsences = (): Absences => ({ ranges: [], recorded: [] });

const NAMED = /^log (\S+), records (\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)(?:, leaf hashes sha256-([0-9a-f]{64}))?$/;
const BEGIN = new TextEncoder().encode('{"action_id":"rem_');
const decoder = new TextDecoder();

/** What a record says was removed, or kept of it after all; null for any other record. `by`: where it stands. */
export function removalIn(entry: Uint8Array, by: Removal['by']): Removal | null {
  // Members are in the order of the canonical form, so that no other record costs more than a look.
  for (let at = BEGIN.length - 1; at >= 0; at--) if (entry[at] !== BEGIN[at]) return null;
  let record: { action_id?: unknown; kind?: unknown; operation?: unknown; changes?: unknown };
  try {
    record = JSON.parse(decoder.decode(entry));
  } catch {
    // It may be read before it is proven: what was garbled is told by the proof.
    return null;
  }
  const keeps = record.operation === 'retention.keep';
  if (record.kind !== 'change' || !(keeps || record.operation === 'retention.remove') || !Array.isArray(record.changes))
    return null;
  const [rule, what] = record.changes.map(String);
  const [, log, text, digest = ''] = NAMED.exec(what ?? '') ?? [];
  const ranges = parseRanges(text ?? '');
  if (log === undefined || (digest === '' && !keeps) || ranges === null) return null;
  // Nothing can be removed before it was there.
  if (log === by.log && (ranges.at(-1)?.[1] ?? 0) > by.index) return null;
  return { id: String(record.action_id), keeps, log, ranges, digest, rule: rule ?? '', by };
}

/** `0-3,7`: 0 to 3 and 7. Null for what is not ascending, or too much. */
export function parseRanges(text: string): [number, number][] | null {
  const ranges: [number, number][] = [];
  let [end, count] = [0, 0];
  for (const part of text.split(',')) {
    const [first, last = first] = part.split('-').map(Number) as [number, number?];
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last) || first < end || last < first) return null;
    count += last - first + 1;
    if (count > MAX_REMOVED) return null;
    end = last + 1;
    ranges.push([first, end]);
  }
  return ranges;
}

export function formatRanges(sequences: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const sequence of sequences) {
    const last = ranges.at(-1);
    if (last && last[1] === sequence - 1) last[1] = sequence;
    else ranges.push([sequence, sequence]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

/** Over the leaf hashes of all that a removal names, one behind the other. */
export function removalDigest(leaves: readonly Uint8Array[], sha256: Sha256): string {
  const joined = new Uint8Array(leaves.length * HASH_BYTES);
  for (const [at, leaf] of leaves.entries()) joined.set(leaf, at * HASH_BYTES);
  return [...sha256(joined)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function noteAbsent({ ranges }: Absences, index: number): void {
  if (ranges.at(-1) === index) ranges[ranges.length - 1] = index + 1;
  else ranges.push(index, index + 1);
}

export type Explained = { ok: true; removed: number; removals: Removal[] } | { ok: false; fault: Fault };

/** Whether records say of all that is missing in a log that it was removed: its own, or those of other logs that were verified (`given`). */
export function explained(log: string, { ranges, recorded }: Absences, given: readonly Removal[]): Explained {
  const said = Map.groupBy(
    [...recorded, ...given].filter((each) => each.log === log),
    ({ keeps }) => keeps,
  );
  const removals = said.get(false) ?? [];
  const kept = Map.groupBy(said.get(true) ?? [], ({ id }) => id);
  const named = removals
    .flatMap(({ id, ranges: of }) => without(of, kept.get(id)?.flatMap((each) => each.ranges) ?? []))
    .sort(([a], [b]) => a - b);
  let [at, removed] = [0, 0];
  for (let each = 0; each < ranges.length; each += 2) {
    const [from, to] = [ranges[each] as number, ranges[each + 1] as number];
    removed += to - from;
    for (let next = from; next < to; ) {
      while ((named[at]?.[1] ?? Number.POSITIVE_INFINITY) <= next) at++;
      const [first, end] = named[at] ?? [Number.POSITIVE_INFINITY, 0];
      if (first > next) {
        const detail = `record ${next} has no content, and no record says that it was removed`;
        return { ok: false, fault: { kind: 'erased', detail, from: next, to: Math.min(to, first) } };
      }
      next = end;
    }
  }
  return { ok: true, removed, removals };
}

function without(ranges: Removal['ranges'], kept: Removal['ranges']): Removal['ranges'] {
  const left: Removal['ranges'] = [];
  const inOrder = kept.toSorted(([a], [b]) => a - b);
  for (const [from, to] of ranges) {
    let next = from;
    for (const [first, end] of inOrder) {
      if (end <= next || first >= to) continue;
      if (first > next) left.push([next, first]);
      next = end;
    }
    if (next < to) left.push([next, to]);
  }
  return left;
}

/** `explained`, and whether what is named there are the records that the tree has. */
export async function explain(
  log: string,
  absences: Absences,
  given: readonly Removal[],
  leafHashAt: (index: number) => Uint8Array | undefined | Promise<Uint8Array | undefined>,
  sha256: Sha256,
): Promise<Explained> {
  const found = explained(log, absences, given);
  for (const { ranges, digest, by } of found.ok ? found.removals : []) {
    const leaves: Uint8Array[] = [];
    for (const [first, end] of ranges)
      for (let index = first; index < end; index++) leaves.push((await leafHashAt(index)) ?? new Uint8Array());
    if (leaves.every(({ length }) => length === HASH_BYTES) && removalDigest(leaves, sha256) === digest) continue;
    const [from, to] = [ranges[0]?.[0] ?? 0, ranges.at(-1)?.[1] ?? 0];
    const detail = `record ${by.index} of ${by.log} says that others were removed there than those that were logged`;
    return { ok: false, fault: { kind: 'erased', detail, from, to } };
  }
  return found;
}

/** `erased`: all that is wrong is that no record says of something missing that it was removed. */
type Outcome = {
  ok: boolean;
  erased?: boolean;
  fault?: Fault;
  removals?: readonly Removal[];
  recorded?: readonly Removal[];
};

/**
 * Several logs, one of which may say what was removed from another, or was kept of it after all: those whose removals or what was taken back
 * of them stand elsewhere are verified again with what the others say.
 */
export async function verifyTogether<R extends Outcome>(
  verify: readonly ((removals: readonly Removal[]) => Promise<R>)[],
): Promise<R[]> {
  const reports: R[] = [];
  for (const each of verify) reports.push(await each([]));
  // Of what fails otherwise nothing is believed. What was removed meanwhile is found as well.
  const said = reports.flatMap(({ recorded }) => recorded ?? []);
  const taken = new Set(said.flatMap(({ id, keeps }) => (keeps ? [id] : [])));
  for (const [at, { erased, fault, removals }] of reports.entries())
    if (erased || fault?.kind === 'erased' || removals?.some(({ id }) => taken.has(id)))
      reports[at] = await (verify[at] as (typeof verify)[number])(said);
  return reports;
}

/** For people: how many went by which rule, and which records say so. */
export function removalsInWords(
  log: string,
  { removed, removals }: { removed: number; removals: readonly Removal[] },
): string[] {
  if (removed === 0) return [];
  const byRule = Map.groupBy(removals, ({ rule }) => rule);
  return [
    `${removed} of these have no content any more: retention has removed it, and the log says so`,
    ...[...byRule].map(([rule, of]) => {
      const count = of.reduce((sum, { ranges }) => sum + ranges.reduce((all, [from, to]) => all + to - from, 0), 0);
      const said = of.slice(0, SAID_BY).map(({ by }) => `${by.index}${by.log === log ? '' : ` of ${by.log}`}`);
      const more = of.length > SAID_BY ? ` and ${of.length - SAID_BY} more` : '';
      return `${rule}: ${count} records, by record ${said.join(', ')}${more}`;
    }),
  ];
}

const SAID_BY = 5;
