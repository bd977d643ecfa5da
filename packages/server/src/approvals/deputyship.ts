import { createHash } from 'node:crypto';
import type { Deputy, NewDeputy } from '@gatehouse/protocol';
import { canonicalJson, type Json } from '../platform/index.ts';
import {
  type Database,
  type DatabaseTransaction,
  rowSealProblem,
  type Sealer,
  sealRow,
  type Tables,
} from '../storage/index.ts';
import type { Deputyship } from './rule/circle.ts';

/** An approval waits for a day at most: a yes that was given for somebody longer ago is in none that is open. */
const LOOKS_BACK_MS = 2 * 86_400_000;

export type DeputyRow = Tables['deputies'];

/**
 * Who speaks for whom, or did when something that is open was answered. INVARIANT: what was taken back never counted, nor does what
 * nobody has signed: an admin's word alone makes nobody a deputy, nor does what somebody has written into the database.
 */
export async function readDeputies(
  db: Database | DatabaseTransaction,
  now: number,
  sealer: Sealer,
): Promise<Deputyship[]> {
  const rows = await db
    .selectFrom('deputies')
    .selectAll()
    .where('withdrawn_at', 'is', null)
    .where('assertion', 'is not', null)
    .where('until_at', '>', now - LOOKS_BACK_MS)
    .execute();
  const sealed = rows.filter((row) => deputyProblem(sealer, row) === null);
  return sealed.map((row) => ({
    id: row.id,
    person: row.person,
    deputy: row.deputy,
    from: Math.max(row.from_at, row.confirmed_at ?? 0),
    until: row.until_at,
    madeBy: row.made_by.replace(/^person:/, ''),
  }));
}

export const sealDeputy = (sealer: Sealer, row: DeputyRow): Uint8Array =>
  sealRow(sealer, 'deputies', row.id, deciding(row));

export const deputyProblem = (sealer: Sealer, row: DeputyRow): string | null =>
  rowSealProblem(sealer, 'deputies', row.id, deciding(row), row.seal);

const deciding = (row: DeputyRow): Json => ({
  v: 1,
  person: row.person,
  deputy: row.deputy,
  from: row.from_at,
  until: row.until_at,
  madeAt: row.made_at,
  madeBy: row.made_by,
  confirmedAt: row.confirmed_at,
  confirmedBy: row.confirmed_by,
  assertion: row.assertion,
});

export function showDeputy(row: DeputyRow, now: number): Deputy {
  const stateOf = (): Deputy['state'] => {
    if (row.withdrawn_at !== null) return 'withdrawn';
    if (row.until_at <= now) return 'over';
    if (row.assertion === null) return 'proposed';
    return row.from_at > now ? 'ahead' : 'in-force';
  };
  return {
    id: row.id,
    person: row.person,
    deputy: row.deputy,
    from: row.from_at,
    until: row.until_at,
    reason: row.reason,
    madeAt: row.made_at,
    madeBy: row.made_by,
    confirmedAt: row.confirmed_at,
    confirmedBy: row.confirmed_by,
    withdrawnAt: row.withdrawn_at,
    withdrawnBy: row.withdrawn_by,
    state: stateOf(),
  };
}

export const signedPart = (person: string, { deputy, from, until, reason }: NewDeputy) => ({
  person,
  deputy,
  ...(from !== undefined && { from }),
  until,
  reason,
});

/** What the passkey signs of whoever names a deputy of their own. */
export const deputyChallenge = (person: string, wanted: NewDeputy): Uint8Array =>
  createHash('sha256')
    .update(canonicalJson({ v: 1, deputy: signedPart(person, wanted) }))
    .digest();

export const proposed = ({ id, person, deputy, from_at, until_at, reason, made_by }: DeputyRow) => ({
  id,
  person,
  deputy,
  from: from_at,
  until: until_at,
  reason,
  madeBy: made_by,
});

/** What the passkey signs of whoever confirms what an admin has proposed. */
export const confirmationChallenge = (row: DeputyRow): Uint8Array =>
  createHash('sha256')
    .update(canonicalJson({ v: 2, deputyship: proposed(row) }))
    .digest();
