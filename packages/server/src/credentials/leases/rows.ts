import type { LeaseState, LeaseView } from '@gatehouse/protocol';
import type { Insertable, Selectable } from 'kysely';
import { type Json, parseStrictJson, Secret } from '../../platform/index.ts';
import type { Sealer, Tables } from '../../storage/index.ts';
import type { Left, Made } from './types.ts';

export type LeaseRow = Selectable<Tables['leases']>;
export type NewLeaseRow = Insertable<Tables['leases']>;

/**
 * The name outside: of the lease's id alone, and never read from a row, so that nobody who writes to the database has another account ended.
 * 29 characters that each system takes as a user's name.
 */
export const nameOf = (lease: string): string => `gh_${lease.slice(lease.indexOf('_') + 1)}`;

/** Until when its provider may let it work: longer than it should, where the answer to a renewal was lost, or where nothing shorter is issued. */
export const lastEnd = ({ expires_at, extending_to, works_until }: LeaseRow): number =>
  Math.max(expires_at, extending_to ?? 0, works_until ?? 0);

/** Whom a record of it is about; a test is about nobody. */
export const about = ({ agent, task, environment }: Pick<LeaseRow, 'agent' | 'task' | 'environment'>) => ({
  environment,
  ...(agent !== '' && { agent, task }),
});

const credentialContext = (lease: string) => `lease:${lease}:credential`;
const revocationContext = (lease: string) => `lease:${lease}:revocation`;

export const sealCredential = (sealer: Sealer, lease: string, { credential }: Made): Uint8Array =>
  sealer.seal(
    new Secret(
      JSON.stringify(Object.fromEntries(Object.entries(credential).map(([key, value]) => [key, value.reveal()]))),
    ),
    credentialContext(lease),
  );

export function openCredential(sealer: Sealer, lease: string, sealed: Uint8Array): Record<string, Secret> {
  const parts = JSON.parse(sealer.open(sealed, credentialContext(lease)).reveal()) as Record<string, string>;
  return Object.fromEntries(Object.entries(parts).map(([key, value]) => [key, new Secret(value)]));
}

/** What it was issued as: the columns of its row that nothing changes. */
export type Issued = Pick<
  LeaseRow,
  'provider' | 'agent' | 'task' | 'environment' | 'purpose' | 'scope' | 'intended_at' | 'making_until'
>;

/**
 * What ending it takes: the provider as it was declared then, as it may be gone by that time, what the provider gave when it made it, and what it was
 * issued as, whatever somebody makes of its row. `isLost`: what the provider gave, or where that was, went with its row.
 */
export function sealRevocation(
  sealer: Sealer,
  row: Issued & { id: string },
  declared: Json,
  made: Json | null,
  isLost = false,
) {
  const { provider, agent, task, environment, purpose, scope, intended_at, making_until } = row;
  const issued: Issued = { provider, agent, task, environment, purpose, scope, intended_at, making_until };
  return sealer.seal(
    new Secret(JSON.stringify({ declared, made, issued, ...(isLost && { isLost }) })),
    revocationContext(row.id),
  );
}

export function openRevocation(
  { id, sealed_revocation: sealed }: Pick<LeaseRow, 'id' | 'sealed_revocation'>,
  sealer: Sealer,
) {
  if (!sealed) throw new Error(`nothing is kept of what ending lease ${id} takes`);
  return json(sealer.open(sealed, revocationContext(id)).reveal()) as unknown as {
    declared: Json;
    made: Json | null;
    /** Not of those of before there were seals. */
    issued?: Issued;
    isLost?: true;
  };
}

/** Undefined where that is not to be had. */
export function issuedAs(row: LeaseRow, sealer: Sealer): Issued | undefined {
  try {
    return openRevocation(row, sealer).issued;
  } catch {
    return undefined;
  }
}

export function leftBehind(row: LeaseRow, sealer: Sealer): Left & { declared: Json; isLost: boolean } {
  const { id } = row;
  const { declared, made, issued = row, isLost = false } = openRevocation(row, sealer);
  return {
    ...{ declared, isLost },
    lease: id,
    name: nameOf(id),
    scope: json(issued.scope),
    revocation: made,
    expiresAt: row.expires_at,
    makingUntil: issued.making_until,
  };
}

export function toLease(row: LeaseRow): LeaseView {
  return {
    id: row.id,
    provider: row.provider,
    state: row.state as LeaseState,
    agent: row.agent,
    task: row.task,
    environment: row.environment,
    purpose: row.purpose,
    ungated: row.ungated === 1,
    singleUse: row.single_use === 1,
    name: nameOf(row.id),
    scope: json(row.scope),
    clamped: json(row.clamped) as string[],
    handedBy: row.handed_by,
    maxResidualSeconds: row.max_residual_seconds,
    intendedAt: row.intended_at,
    createdAt: row.created_at,
    activeAt: row.active_at,
    expiresAt: row.expires_at,
    worksUntil: row.works_until,
    renewals: row.renewals,
    renewedAt: row.renewed_at,
    bounds: (json(row.bounds) as { at: number; why: string }[]).toSorted((one, other) => one.at - other.at),
    revokingAt: row.revoking_at,
    revokedAt: row.revoked_at,
    reason: row.reason,
    attempts: row.attempts,
    failingSince: row.failing_since,
    endsByItself: row.ends_by_itself === 1,
    drop:
      row.drop_asked_by === null
        ? null
        : {
            ...{ askedBy: row.drop_asked_by, askedAt: row.drop_asked_at ?? 0, reason: row.drop_reason ?? '' },
            remainsUntil: row.ends_by_itself === 1 ? lastEnd(row) : null,
            ...{ agreedBy: row.dropped_by, agreedAt: row.dropped_at },
          },
    nextTryAt: row.next_try_at,
    problem: row.problem,
  };
}

const json = (text: string): Json => parseStrictJson(Buffer.from(text));
