import { type CredentialProviderManifest, isScopeWithin } from '@gatehouse/protocol';
import { canonicalJson, GatehouseError, type Json } from '../../platform/index.ts';
import type { Snapshot } from '../../registry/index.ts';
import type { Guard, Sealer } from '../../storage/index.ts';
import { grantsAlike } from '../same-place.ts';
import { issuedFor } from './issue.ts';
import type { Issued, Standing, StandingOf } from './issued.ts';
import { type Bound, boundsOf } from './lifetime.ts';
import type { OpenedProvider } from './make.ts';
import { type LeaseRow, leftBehind } from './rows.ts';
import { type LeaseRequest, TEST_PURPOSE } from './types.ts';

export interface JudgingDependencies {
  sealer: Sealer;
  /** As a workspace declares it. Throws `provider.unknown` for one that is not declared in this environment. */
  declaredIn(
    snapshot: Snapshot,
    provider: string,
    environment: string,
  ): Pick<OpenedProvider, 'destinations' | 'narrow'> & { manifest: CredentialProviderManifest };
}

export type Verdict = { guards: readonly Guard[] } & (
  | { withdrawn: string; isStopped: boolean }
  /** What is issued now ends earlier. */
  | { endsAt: number; why: string }
  | { stands: true }
);

/**
 * Whether a lease is within what would be issued now, by the same functions as then. INVARIANT: one that would be issued exactly so again stands,
 * and so does one of which more would be issued.
 */
export function createJudging({ sealer, declaredIn }: JudgingDependencies) {
  function declaredThen(row: LeaseRow): CredentialProviderManifest | undefined {
    try {
      return leftBehind(row, sealer).declared as CredentialProviderManifest;
    } catch {
      return undefined;
    }
  }

  return async function judge(snapshot: Snapshot, row: LeaseRow, standingOf: StandingOf): Promise<Verdict> {
    const policy = { key: 'policy', version: snapshot.fences.get('policy') ?? 0 };
    const withdrawn = (why: string, guards: readonly Guard[] = [policy], isStopped = false): Verdict => ({
      ...{ withdrawn: why, isStopped, guards },
    });
    try {
      const declared = declaredIn(snapshot, row.provider, row.environment);
      const { manifest } = declared;
      const scope = JSON.parse(row.scope) as Json;
      const then = declaredThen(row);
      // Of what can't be read nobody knows that it would be issued now.
      if (!then) return withdrawn('what it was issued as can not be read');
      if (!grantsAlike(then, manifest, scope)) return withdrawn(`"${row.provider}" issues something else now`);
      if (row.purpose === TEST_PURPOSE) return { stands: true, guards: [policy] };
      const standing: Standing = await standingOf(snapshot, issuedOf(row, scope));
      if ('withdrawn' in standing) return standing;
      const { request, guards } = standing;
      if (request.provider !== row.provider)
        return withdrawn(`in its place one of "${request.provider}" is issued now`, guards);
      const most = issuedFor(declared, request);
      if (!isScopeWithin(manifest.from, scope, most))
        return withdrawn(`no more than ${canonicalJson(most).slice(0, MOST_CHARACTERS)} is issued now`, guards);
      const { at, why } = firstEnd(row.intended_at, manifest, request);
      return at < row.expires_at ? { endsAt: at, why, guards } : { stands: true, guards };
    } catch (error) {
      if (isRefusal(error)) return withdrawn(error.message);
      throw error;
    }
  };
}

const MOST_CHARACTERS = 300;

/** That nothing would be issued. Of any other failure, such as of a database that is away for a moment, nobody knows what it says. */
const isRefusal = (error: unknown): error is GatehouseError =>
  error instanceof GatehouseError && (error.kind === 'forbidden' || error.kind === 'not-found');

const issuedOf = (row: LeaseRow, scope: Json): Issued => ({
  ...{ provider: row.provider, agent: row.agent, task: row.task, environment: row.environment, purpose: row.purpose },
  ...{ ungated: row.ungated === 1, scope, handedBy: row.handed_by },
  seconds: Math.ceil((row.expires_at - row.intended_at) / 1_000),
});

/** Of those that it would have, had it been issued by what holds now. */
function firstEnd(intendedAt: number, { life }: CredentialProviderManifest, request: LeaseRequest): Bound {
  const { ungated, ttlSeconds, clamped = [], agentSeconds, until } = request;
  const bounds = boundsOf(intendedAt, { maxSeconds: life.maxSeconds, agentSeconds }, until);
  if (ungated && ttlSeconds !== undefined)
    bounds.push({ at: intendedAt + ttlSeconds * 1_000, why: clamped.join(', and ') });
  return bounds.reduce((first, bound) => (bound.at < first.at ? bound : first));
}
