import type { Json } from '../../platform/index.ts';
import type { Sealer, Storage } from '../../storage/index.ts';
import type { Place } from './book.ts';
import { type RecordedIssue, readIssue } from './issue-record.ts';
import { leaseLimits } from './limits.ts';
import { type LeaseRow, sealRevocation } from './rows.ts';

/** Of one of which nothing is left but its id. */
const UNKNOWN = 'unknown';

export interface PuttingBackDependencies {
  storage: Pick<Storage, 'db'>;
  sealer: Sealer;
  /** The declaration of a provider, where it is still that of the place with this digest. */
  declaredAt(provider: string, place: string): Json | undefined;
}

/** What the record says of a lease: as it was signed. Where its place is not known it is looked for when the lease was made. */
export async function recordedIssue(
  { db }: Pick<Storage, 'db'>,
  id: string,
  place: Place | null,
): Promise<RecordedIssue | undefined> {
  const records = db.selectFrom('records').select('entry');
  const at = timeOf(id);
  const found = place
    ? await records.where('log', '=', place.log).where('sequence', '=', place.sequence).execute()
    : await records
        .where('at', '>=', at)
        .where('at', '<=', at + leaseLimits.createMs)
        .where('entry', 'like', `%"lease ${id} of %`)
        .execute();
  return found.map(({ entry }) => readIssue(entry)).find((issue) => issue?.id === id);
}

const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz';

/** When it was made: the first 48 bits of it. */
function timeOf(id: string): number {
  const first = id.slice(id.indexOf('_') + 1).slice(0, 10);
  const bits = [...first].reduce((value, digit) => value * 32 + Math.max(0, DIGITS.indexOf(digit)), 0);
  return Math.floor(bits / 4);
}

/** What the record knows is in it: what its provider gave for ending it is not. */
export function putBack(
  { sealer, declaredAt }: PuttingBackDependencies,
  id: string,
  issue: RecordedIssue | undefined,
  now: number,
): LeaseRow {
  const at = issue?.issuedAt ?? now;
  const issued = {
    ...{ id, provider: issue?.provider ?? UNKNOWN, agent: issue?.agent ?? '', task: issue?.task ?? '' },
    ...{ environment: issue?.environment ?? '', purpose: issue?.purpose ?? UNKNOWN, scope: issue?.scope ?? '{}' },
    ...{ intended_at: at, making_until: at + leaseLimits.createMs },
  };
  const declared = issue ? declaredAt(issue.provider, issue.place) : undefined;
  return {
    ...issued,
    // Live ones have theirs for themselves; this one is held by nobody.
    holder: `${UNKNOWN} ${id}`,
    ungated: issue?.ungated ?? 0,
    single_use: 0,
    state: 'revoking',
    clamped: '[]',
    max_residual_seconds: null,
    // As far as anybody knows.
    created_at: at,
    active_at: null,
    expires_at: at + leaseLimits.maxSeconds * 1_000,
    works_until: null,
    revoking_at: now,
    revoked_at: null,
    reason: null,
    attempts: 0,
    next_try_at: now,
    problem: null,
    sealed_credential: null,
    sealed_revocation: sealRevocation(sealer, issued, declared ?? null, null, true),
    seal: null,
    idempotency_key: null,
    request_digest: null,
    handed_by: null,
    bounds: '[]',
    extending_to: null,
    renewed_at: null,
    renewals: 0,
    failing_since: null,
    ends_by_itself: 0,
    drop_asked_by: null,
    drop_asked_at: null,
    drop_reason: null,
    drop_seal: null,
    dropped_by: null,
    dropped_at: null,
  };
}
