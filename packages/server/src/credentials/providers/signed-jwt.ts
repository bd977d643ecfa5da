import type { ProviderAbilities, SignedJwtSource } from '@gatehouse/protocol';
import { decodeJwt } from 'jose';
import type { IdentityTokens } from '../../identity/index.ts';
import type { Clock } from '../../platform/index.ts';
import type { Provider } from '../leases/types.ts';
import { endsAt, remainingOf } from './ends-by-itself.ts';

const ABILITIES: ProviderAbilities = {
  ...{ canNarrow: false, canRevoke: false, canEndSessions: false, maxResidualSeconds: null },
};

/** A token for each lease: which agent, in which task, for this audience. By an issuer that no cloud is told to trust. */
export function openSignedJwtProvider(
  { audience }: SignedJwtSource,
  { signedToken, clock, environment }: { signedToken: IdentityTokens['sign']; clock: Clock; environment: string },
): Provider {
  return {
    abilities: ABILITIES,

    async create({ lease, environment, agent, task, expiresAt }) {
      const token = await signedToken({ audience, environment, agent, task, lease });
      const end = Number(decodeJwt(token.reveal()).exp) * 1_000;
      return { credential: { token }, revocation: endsAt(end), expiresAt: Math.min(end, expiresAt) };
    },

    async revoke(left) {
      // Made here, and given to nobody.
      if (left.revocation === null) return undefined;
      return remainingOf(left, {
        clock,
        who: 'Gatehouse',
        why: `${audience} asks nobody: a token is good until it expires`,
      });
    },

    async check() {
      await signedToken({ audience, environment, agent: '', task: '', lease: 'check' });
    },

    close: async () => undefined,
  };
}
