import { allowInsecureRequests, customFetch, processRevocationResponse, revocationRequest } from 'oauth4webapi';
import { authorizationServer, registeredClient } from '../../../credentials/index.ts';
import { configuredClient } from './client.ts';
import type { StoredGrant } from './grant-store.ts';
import { guardOf } from './guard.ts';
import type { AuthorizedPlace, AuthorizerDependencies } from './token-source.ts';

/** RFC 7009, as far as the authorization server has it. What it does not revoke is forgotten here all the same. */
export async function revokeToken(
  deps: Omit<AuthorizerDependencies, 'grants'>,
  place: AuthorizedPlace,
  { token, registered }: Pick<StoredGrant, 'token' | 'registered'>,
): Promise<boolean> {
  try {
    const { authorization } = place.transport;
    const web = guardOf(deps.outbound, place.transport, authorization, deps.limits);
    const as = await authorizationServer(web, token.issuer, false);
    const client = registered
      ? registeredClient(registered)
      : await configuredClient(deps, authorization, as, token.clientId);
    const { refreshToken, value } = token;
    const response = await revocationRequest(
      as,
      { client_id: client.id },
      client.authenticate,
      (refreshToken ?? value).reveal(),
      {
        [customFetch]: web.fetch,
        [allowInsecureRequests]: true,
        signal: AbortSignal.timeout(deps.limits.oauthTimeoutMs),
      },
    );
    await processRevocationResponse(response);
    return true;
  } catch (error) {
    deps.log.warn('upstream.not-revoked', { server: place.server, environment: place.environment, error });
    return false;
  }
}
