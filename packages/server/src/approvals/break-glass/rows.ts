import { createHash } from 'node:crypto';
import {
  type BreakGlass,
  type BreakGlassState,
  type BreakGlassSubject,
  breakGlassLimits,
  type Role,
} from '@gatehouse/protocol';
import type { Selectable } from 'kysely';
import { z } from 'zod';
import { canonicalJson, digestJson, type Json, parseStrictJson } from '../../platform/index.ts';
import { rowSealProblem, type Sealer, sealRow, type Tables } from '../../storage/index.ts';
import { keyProblem, type Signed, signatureProblem, signedParts } from '../signed.ts';
import type { SealedBy } from '../votes.ts';

export type BreakGlassRow = Selectable<Tables['break_glass']>;

export const MAY_SIGN: Role[] = ['approver', 'security', 'admin'];

export const digestOf = (subject: BreakGlassSubject): string => digestJson({ v: 1, breakGlass: subject });

/** What the first signs, and then the second: with whom, and until when it is open. */
export function challengeOf(subject: BreakGlassSubject, second?: { first: string; until: number }): Uint8Array {
  const text = canonicalJson({
    v: 1,
    breakGlass: subject,
    ...(second && { first: second.first, until: second.until }),
  });
  return createHash('sha256').update(text).digest();
}

export const subjectIn = (row: Pick<BreakGlassRow, 'subject'>) =>
  parseStrictJson(Buffer.from(row.subject)) as unknown as BreakGlassSubject;

/** At each step: also a first signature is none that somebody has written into the database. */
export const sealedBreakGlass = (row: BreakGlassRow, sealer: Sealer): BreakGlassRow => ({
  ...row,
  seal: sealRow(sealer, 'break_glass', row.id, deciding(row)),
});

export const sealProblem = (row: BreakGlassRow, sealer: Sealer): string | null =>
  rowSealProblem(sealer, 'break_glass', row.id, deciding(row), row.seal);

const deciding = (row: BreakGlassRow): Json => ({
  v: 1,
  agent: row.agent,
  task: row.task,
  subject: row.subject,
  digest: row.digest,
  requestedAt: row.requested_at,
  firstBy: row.first_by,
  firstAssertion: row.first_assertion,
  secondBy: row.second_by,
  secondAssertion: row.second_assertion,
  until: row.until,
});

/** One that calls run on, as it is held in memory. */
export interface HeldBreakGlass {
  subject: BreakGlassSubject;
  signers: [string, string];
  until: number;
}

/** What calls may run on, or what is wrong with the row: then it was changed by hand, and nothing runs on it. */
export async function readBreakGlass(
  row: BreakGlassRow,
  { origin, sealer, people }: SealedBy,
): Promise<HeldBreakGlass | { problem: string }> {
  try {
    const subject = subjectIn(row);
    const { first_by: first, second_by: second, until } = row;
    if (
      row.id !== subject.id ||
      row.agent !== subject.agent ||
      row.task !== subject.task ||
      digestOf(subject) !== row.digest
    )
      return { problem: 'it is not what was asked for' };
    if (first === null || second === null || until === null || first === second)
      return { problem: 'two people have not signed it' };
    const latest = subject.requestedAt + (breakGlassLimits.signedWithinSeconds + subject.seconds) * 1_000;
    if (until > latest) return { problem: 'it is open for longer than was asked for' };
    const problem =
      sealProblem(row, sealer) ??
      (await problemOf(row.first_assertion, first, challengeOf(subject), { origin, people })) ??
      (await problemOf(row.second_assertion, second, challengeOf(subject, { first, until }), { origin, people }));
    return problem === null ? { subject, signers: [first, second], until } : { problem };
  } catch (error) {
    return { problem: `it cannot be read: ${(error as Error).message}` };
  }
}

const kept = z.strictObject(signedParts);

async function problemOf(
  text: string | null,
  person: string,
  challenge: Uint8Array,
  { origin, people }: Omit<SealedBy, 'sealer'>,
): Promise<string | null> {
  if (text === null) return 'a signature is missing';
  const signed: Signed = kept.parse(parseStrictJson(Buffer.from(text)));
  if (signed.person !== person) return 'a signature is of somebody else';
  return signatureProblem(signed, challenge, origin) ?? keyProblem(signed, people);
}

export function stateOf(row: BreakGlassRow, now: number): BreakGlassState {
  if (row.ended_at !== null) return 'ended';
  if (row.until !== null) return row.until <= now ? 'over' : 'open';
  if (row.requested_at + breakGlassLimits.signedWithinSeconds * 1_000 <= now) return 'lapsed';
  return row.first_by === null ? 'asked' : 'signed';
}

export function toBreakGlass(row: BreakGlassRow, now: number): BreakGlass {
  const state = stateOf(row, now);
  return {
    ...subjectIn(row),
    state,
    digest: row.digest,
    firstBy: row.first_by,
    secondBy: row.second_by,
    until: row.until,
    endedAt: row.ended_at,
    endedBy: row.ended_by,
    needsReview: row.until !== null && row.reviewed_at === null,
    reviewedBy: row.reviewed_by,
    reviewedAt: row.reviewed_at,
    review: row.review,
  };
}

export const fenceOf = (id: string): string => `break-glass:${id}`;
