import type { OAuthScope, OAuthSource, ProviderAbilities } from '@gatehouse/protocol';
import { isJsonObject, type Json, Secret } from '../../platform/index.ts';
import { assertedToken } from '../accounts/asserted.ts';
import { checkClient } from '../accounts/client.ts';
import { accountLimits } from '../accounts/limits.ts';
import { revokeToken } from '../accounts/revoke.ts';
import { type Left, type Made, NotMade, type Order, type Provider, type Remaining } from '../leases/types.ts';
import { endsTokens, openPlace } from '../oauth/index.ts';
import { isSameSource } from '../same-place.ts';
import type { ProviderTools } from './index.ts';

/** Access tokens for people at another system, each for a task of that person: of an account that they let the agent use, or on our word. */
export function openOAuthProvider(
  name: string,
  source: OAuthSource,
  tools: Pick<ProviderTools, 'accounts' | 'assertPerson' | 'outbound' | 'openSecret' | 'clock'>,
): Provider {
  const { accounts, outbound, openSecret, clock } = tools;
  const { grant } = source;
  const canRevoke = endsTokens(source);
  const abilities: ProviderAbilities = {
    ...{ canNarrow: true, canRevoke, canEndSessions: false },
    maxResidualSeconds: canRevoke ? 0 : null,
  };
  const remains = (until: number): Remaining => ({
    until,
    why: 'This system ends no access token before its time. Gatehouse uses it no more, and no agent ever had it.',
  });

  /**
   * INVARIANT: a token goes back to where it was issued, and nowhere else: the provider may have been declared elsewhere between this lease and its
   * token. Where it is the same place, with the secret and certificate of now. What an earlier version issued does not say.
   */
  const placeOf = (issuedBy: Json | undefined): OAuthSource => {
    const was = issuedBy as unknown as OAuthSource | undefined;
    return was && !isSameSource(was, source) ? was : source;
  };

  return {
    abilities,

    async create({ agent, task, user, scope, expiresAt }: Order): Promise<Made> {
      if (!user)
        throw new NotMade(
          'forbidden',
          'account.user',
          `"${name}" issues tokens of people's own accounts, and this task is for no person whom a verified token or a delegation vouches for.`,
        );
      const { scopes } = scope as unknown as Required<OAuthScope>;
      const got =
        grant === 'consent'
          ? await accounts.token({ provider: name, agent, user }, scopes, expiresAt)
          : await assertedToken(tools, name, { ...source, grant }, { agent, task }, scopes);
      const parts = Object.entries(got.parts).map(([part, value]) => [part, new Secret(value)] as const);
      return {
        credential: { token: got.token, ...Object.fromEntries(parts) },
        revocation: {
          ...{ token: canRevoke ? got.token.reveal() : null, expiresAt: got.expiresAt },
          source: got.source as unknown as Json,
        },
        expiresAt: got.expiresAt,
      };
    },

    async revoke({ revocation, makingUntil }: Left): Promise<Remaining | undefined> {
      if (!isJsonObject(revocation)) {
        const until = makingUntil + (await accounts.lifeSeconds(name)) * 1_000;
        return clock.now() < until
          ? {
              until,
              why: 'The answer that had the token was lost. If there is one, nobody has it, and it ends by then.',
            }
          : undefined;
      }
      const until = Number(revocation.expiresAt);
      if (clock.now() >= until) return undefined;
      if (typeof revocation.token !== 'string') return remains(until);
      const at = placeOf(revocation.source);
      const place = await openPlace(at, outbound, accountLimits);
      const isRevoked = await revokeToken({ openSecret }, at, place, new Secret(revocation.token), 'access_token');
      return isRevoked ? undefined : remains(until);
    },

    async check() {
      await openPlace(source, outbound, accountLimits);
    },

    async rehearse() {
      await checkClient({ openSecret, clock }, source, await openPlace(source, outbound, accountLimits));
    },

    close: async () => undefined,
  };
}
