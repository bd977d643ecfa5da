import type { OAuthSource } from '@gatehouse/protocol';
import { type AuthorizationServer, None } from 'oauth4webapi';
import { type Clock, GatehouseError, type Secret } from '../../platform/index.ts';
import { clientWithSecret, type OAuthClient, type OAuthPlace, requestToken } from '../oauth/index.ts';
import { assertedGrants } from './asserted-grants.ts';
import { accountLimits } from './limits.ts';

type OpenSecret = (name: string, destination: string) => Promise<Secret>;

/** Gatehouse as this provider's client at one of its endpoints. The secret goes to where it was stored for, and nowhere else. */
export async function clientOf(
  { openSecret }: { openSecret: OpenSecret },
  { clientId, secret }: OAuthSource,
  as: AuthorizationServer,
  endpoint = as.token_endpoint ?? as.issuer,
): Promise<OAuthClient> {
  if (secret === undefined) return { id: clientId, authenticate: None() };
  const opened = await openSecret(secret, endpoint);
  return { id: clientId, authenticate: clientWithSecret(opened, as.token_endpoint_auth_methods_supported) };
}

/** Asks for what it can't get: a server that knows this client says what is wrong with that, and nothing of the client. */
export async function checkClient(
  { openSecret, clock }: { openSecret: OpenSecret; clock: Clock },
  source: OAuthSource,
  { as, web }: OAuthPlace,
): Promise<void> {
  const asked =
    source.grant === 'consent'
      ? { grantType: 'refresh_token', parameters: { refresh_token: 'gatehouse-test' } }
      : assertedGrants[source.grant]('gatehouse-test');
  const client = await clientOf({ openSecret }, source, as);
  try {
    await requestToken({
      ...{ web, as, client, ...asked },
      ...{ scopes: undefined, key: undefined, mustBind: false, limits: accountLimits, now: clock.now() },
    });
  } catch (error) {
    if (
      error instanceof GatehouseError &&
      / refuses: (?!invalid_client|unauthorized_client|bad_client)/.test(error.message)
    )
      return;
    throw error;
  }
}
