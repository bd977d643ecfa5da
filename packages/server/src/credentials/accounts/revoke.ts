import type { OAuthSource } from '@gatehouse/protocol';
import {
  allowInsecureRequests,
  customFetch,
  introspectionRequest,
  None,
  processIntrospectionResponse,
  processRevocationResponse,
  ResponseBodyError,
  revocationRequest,
} from 'oauth4webapi';
import { Secret } from '../../platform/index.ts';
import { type OAuthPlace, oauthFailure, wrong } from '../oauth/index.ts';
import { clientOf } from './client.ts';
import { accountLimits } from './limits.ts';
import type { SealedAccount } from './store.ts';

/** What a server says of a token that is not there any more. */
const gone = new Set([
  'invalid_token',
  'token_revoked',
  'invalid_auth',
  'account_inactive',
  'token_expired',
  'invalid_grant',
]);

/** All that a person has granted: by its refresh token, or where that is the system's way by an access token. */
export function revokeGrant(
  deps: Parameters<typeof clientOf>[0],
  source: OAuthSource,
  place: OAuthPlace,
  { refreshToken, token }: SealedAccount,
): Promise<boolean> {
  return place.revokes === 'access_token' && token !== null
    ? revokeToken(deps, source, place, new Secret(token.value), 'access_token')
    : revokeToken(deps, source, place, new Secret(refreshToken), 'refresh_token');
}

/** RFC 7009. False: the authorization server has no way to. */
export async function revokeToken(
  deps: Parameters<typeof clientOf>[0],
  source: OAuthSource,
  { as, web }: OAuthPlace,
  token: Secret,
  hint: 'refresh_token' | 'access_token',
): Promise<boolean> {
  if (as.revocation_endpoint === undefined) return false;
  // There the token itself says who asks.
  const client =
    source.system === 'slack' || source.system === 'google'
      ? { id: source.clientId, authenticate: None() }
      : await clientOf(deps, source, as, as.revocation_endpoint);
  try {
    const response = await revocationRequest(as, { client_id: client.id }, client.authenticate, token.reveal(), {
      [customFetch]: web.fetch,
      [allowInsecureRequests]: true,
      additionalParameters: { token_type_hint: hint },
      signal: AbortSignal.timeout(accountLimits.oauthTimeoutMs),
    });
    await processRevocationResponse(response);
    if (hint === 'access_token' && as.introspection_endpoint !== undefined) await seenToBeGone();
    return true;
  } catch (error) {
    if (error instanceof ResponseBodyError && gone.has(error.error)) return true;
    throw oauthFailure(as.issuer, error);
  }

  /** RFC 7662, where it is offered. */
  async function seenToBeGone(): Promise<void> {
    const { authenticate } = await clientOf(deps, source, as, as.introspection_endpoint);
    const response = await introspectionRequest(as, { client_id: client.id }, authenticate, token.reveal(), {
      [customFetch]: web.fetch,
      [allowInsecureRequests]: true,
      signal: AbortSignal.timeout(accountLimits.oauthTimeoutMs),
    });
    const { active } = await processIntrospectionResponse(as, { client_id: client.id }, response);
    if (active) throw wrong(`${as.issuer} says that a token is still active which it has revoked.`);
  }
}
