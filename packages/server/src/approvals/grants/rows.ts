import { createHash } from 'node:crypto';
import { type GrantTerms, grantTerms, type StandingGrant } from '@gatehouse/protocol';
import type { Selectable } from 'kysely';
import { canonicalJson, type Json, parseStrictJson } from '../../platform/index.ts';
import { rowSealProblem, type Sealer, sealRow, type Tables } from '../../storage/index.ts';
import { grantedBy, keptYesProblem } from '../evidence.ts';
import { sameAction, subjectDigest } from '../subject.ts';
import type { ApprovalSubject } from '../types.ts';
import type { SealedBy } from '../votes.ts';

export type GrantRow = Selectable<Tables['standing_grants']>;

/** A grant as it is held in memory. */
export interface HeldGrant {
  id: string;
  approval: string;
  subject: ApprovalSubject;
  /** Of the subject but for its arguments: what a covered call has in common with the approved one. */
  kind: string;
  terms: GrantTerms;
  givenBy: string;
}

/** Follows from the yes that it was given with, so that a row with another id is another grant, which nobody signed. */
export const grantIdOf = (approval: string): string => `grn_${approval.slice(approval.indexOf('_') + 1)}`;

export const counterOf = (grant: string): string => createHash('sha256').update(`granted ${grant}`).digest('hex');

export const kindOf = (subject: ApprovalSubject): string => sameAction({ ...subject, arguments: null });

export const sealedGrant = (row: GrantRow, sealer: Sealer): GrantRow => ({
  ...row,
  seal: sealRow(sealer, 'standing_grants', row.id, deciding(row)),
});

const deciding = (row: GrantRow): Json => ({
  v: 1,
  approval: row.approval,
  agent: row.agent,
  task: row.task,
  digest: row.digest,
  subject: row.subject,
  terms: row.terms,
  givenBy: row.given_by,
  assertion: row.assertion,
  expiresAt: row.expires_at,
});

/** The grant in a row, or what is wrong with the row: then it was changed by hand, and covers nothing. */
export async function readGrant(
  row: GrantRow,
  { origin, sealer, people }: SealedBy,
): Promise<HeldGrant | { problem: string }> {
  try {
    const subject = parseStrictJson(Buffer.from(row.subject)) as unknown as ApprovalSubject;
    const terms = grantTerms.parse(parseStrictJson(Buffer.from(row.terms)));
    const signed = grantedBy(row.assertion);
    const problem =
      row.id !== grantIdOf(row.approval)
        ? 'it is named after another approval'
        : subjectDigest(subject) !== row.digest || subject.agent !== row.agent || subject.task !== row.task
          ? 'its digest is of another action'
          : !signed || canonicalJson(signed) !== canonicalJson(terms) || row.expires_at !== terms.until
            ? 'its bounds are not those that were signed'
            : (rowSealProblem(sealer, 'standing_grants', row.id, deciding(row), row.seal) ??
              (await keptYesProblem(
                row.assertion,
                { id: row.approval, digest: row.digest, decidedBy: row.given_by, origin },
                people,
              )));
    if (problem !== null) return { problem };
    return { id: row.id, approval: row.approval, subject, kind: kindOf(subject), terms, givenBy: row.given_by };
  } catch (error) {
    return { problem: `it cannot be read: ${(error as Error).message}` };
  }
}

/** As people are shown it, whether or not it holds together. */
export function toGrant(
  row: GrantRow,
  now: number,
  of: { used: number; usedSum: string | null; environment: string; isOver: boolean },
): StandingGrant {
  const subject = JSON.parse(row.subject) as ApprovalSubject;
  const terms = JSON.parse(row.terms) as GrantTerms;
  const { agent, agentEpoch, task, operation, tool, toolDefinition } = subject;
  return {
    id: row.id,
    approval: row.approval,
    state:
      row.ended_at !== null
        ? row.ended_by === 'gatehouse'
          ? 'ended'
          : 'revoked'
        : row.expires_at <= now
          ? 'expired'
          : of.used >= terms.calls
            ? 'used-up'
            : of.isOver
              ? 'ended'
              : 'active',
    agent,
    agentEpoch,
    task,
    environment: of.environment,
    operation,
    tool,
    toolDefinition,
    arguments: subject.arguments,
    terms,
    givenBy: row.given_by,
    givenAt: terms.from,
    used: of.used,
    usedSum: of.usedSum,
    endedAt: row.ended_at,
    endedBy: row.ended_by,
    reason: row.reason,
  };
}
