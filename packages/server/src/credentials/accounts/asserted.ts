import type { OAuthSource } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import { NotMade } from '../leases/types.ts';
import { endsTokens, openPlace, requestToken } from '../oauth/index.ts';
import type { ProviderTools } from '../providers/index.ts';
import { assertedGrants } from './asserted-grants.ts';
import { clientOf } from './client.ts';
import { accountLimits } from './limits.ts';
import { revokeToken } from './revoke.ts';
import { isRefusal } from './token.ts';
import type { AccountToken } from './types.ts';

/** A token of an authorization server that takes our word for whom a task is for: nobody has to connect anything there. */
export async function assertedToken(
  tools: Pick<ProviderTools, 'assertPerson' | 'outbound' | 'openSecret' | 'clock'>,
  name: string,
  source: OAuthSource & { grant: 'id_jag' | 'token_exchange' },
  of: { agent: string; task: string },
  scopes: readonly string[],
): Promise<AccountToken> {
  const place = await openPlace(source, tools.outbound, accountLimits);
  const { as, web, beyond } = place;
  const client = await clientOf(tools, source, as);
  const assertion = await tools.assertPerson({
    ...{ ...of, at: { name, issuer: as.issuer }, clientId: client.id, scopes: [...scopes] },
    resources: source.resource === undefined ? [] : [source.resource],
    ...(source.grant === 'token_exchange' && { form: 'jwt' as const }),
  });
  const now = tools.clock.now();
  const got = await requestToken({
    ...{ web, as, client, ...assertedGrants[source.grant](assertion.reveal()) },
    ...{ resource: source.resource, scopes: [...scopes], key: undefined, mustBind: false, limits: accountLimits, now },
  }).catch((error) => {
    throw isRefusal(error) ? new NotMade('upstream', 'provider.refused', error.message) : error;
  });
  const expiresAt = got.expiresAt ?? now + accountLimits.usualTokenSeconds * 1_000;
  const seconds = Math.round((expiresAt - now) / 1_000);
  const more = beyond(got.scopes, scopes);
  const isTooLong = !endsTokens(source) && seconds > accountLimits.tokenSeconds;
  if (more === undefined && !isTooLong) return { token: got.value, expiresAt, parts: {}, account: '', source };
  if (endsTokens(source)) await revokeToken(tools, source, place, got.value, 'access_token');
  const Failure = endsTokens(source) ? NotMade : GatehouseError;
  throw new Failure(
    'upstream',
    more === undefined ? 'provider.refused' : 'provider.beyond',
    more === undefined
      ? `No token is used: ${as.issuer} gave one that lives for ${seconds} s, and that nobody can end.`
      : `No token is used: ${as.issuer} gave more than was asked for (${more.slice(0, 200)}).`,
  );
}
