import {
  AuthorizationResponseError,
  type AuthorizationServer,
  allowInsecureRequests,
  customFetch,
  DPoP,
  type DPoPHandle,
  genericTokenEndpointRequest,
  isDPoPNonceError,
  processGenericTokenEndpointResponse,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from 'oauth4webapi';
import { GatehouseError, Secret } from '../../platform/index.ts';
import type { OAuthClient } from './client.ts';
import type { GuardedFetch } from './guarded-fetch.ts';
import type { OAuthLimits } from './limits.ts';
import { wrong } from './metadata.ts';
import type { ProofKey, UpstreamToken } from './types.ts';

export interface TokenRequest {
  web: GuardedFetch;
  as: AuthorizationServer;
  client: OAuthClient;
  grantType: string;
  parameters: Record<string, string>;
  /** RFC 8707; without it, whatever the authorization server takes it for. */
  resource?: string | undefined;
  /** What is asked for; what is got unless the answer says otherwise (RFC 6749 §5.1). */
  scopes: string[] | undefined;
  /** With it the token is asked for as one bound to this key. */
  key: ProofKey | undefined;
  mustBind: boolean;
  limits: OAuthLimits;
  now: number;
}

/**
 * One token from one authorization server, for one resource. Its refusal is final: no other grant is tried, and nothing is asked twice
 * but for the nonce of a proof (RFC 9449 §8).
 */
export async function requestToken(request: TokenRequest): Promise<UpstreamToken> {
  const { as, client, resource, key, limits, now } = request;
  const answer = await ask(request);
  const text = answer.access_token;
  if (text.length > limits.accessTokenChars || !/^[\x21-\x7e]+$/.test(text))
    throw wrong(`${as.issuer} gave a token that does not fit into a header.`);
  const bound = answer.token_type === 'dpop';
  if (bound && key === undefined) throw wrong(`${as.issuer} gave a bound token that nobody asked for.`);
  if (!bound && request.mustBind)
    throw wrong(`${as.issuer} gave a token that is not bound to a key, and the manifest or the server requires that.`);
  return {
    value: new Secret(text),
    key: bound ? key : undefined,
    issuer: as.issuer,
    resource: resource ?? '',
    clientId: client.id,
    scopes: answer.scope === undefined ? (request.scopes ?? []) : splitScopes(answer.scope),
    expiresAt: answer.expires_in === undefined ? null : now + answer.expires_in * 1000,
    refreshToken: answer.refresh_token === undefined ? undefined : new Secret(answer.refresh_token),
  };
}

/** The same request for what is not an access token (RFC 8693: an ID-JAG). */
export async function ask(request: Omit<TokenRequest, 'mustBind' | 'now'>) {
  const { web, as, client, grantType, resource, scopes, key, limits } = request;
  const parameters = {
    ...request.parameters,
    ...(resource !== undefined && { resource }),
    ...(scopes !== undefined && scopes.length > 0 && { scope: scopes.join(' ') }),
  };
  const proofs: DPoPHandle | undefined = key && DPoP({}, key);
  for (let mayRepeat = proofs !== undefined; ; mayRepeat = false) {
    try {
      const response = await genericTokenEndpointRequest(
        as,
        { client_id: client.id },
        client.authenticate,
        grantType,
        parameters,
        {
          [customFetch]: web.fetch,
          [allowInsecureRequests]: true,
          signal: AbortSignal.timeout(limits.oauthTimeoutMs),
          ...(proofs && { DPoP: proofs }),
        },
      );
      return await processGenericTokenEndpointResponse(as, { client_id: client.id }, response, {
        // RFC 8693 §2.2.1: what is issued is not an access token.
        recognizedTokenTypes: { n_a: () => undefined },
      });
    } catch (error) {
      if (mayRepeat && isDPoPNonceError(error)) continue;
      throw oauthFailure(as.issuer, error);
    }
  }
}

/** Says who refused and the error's code. Descriptions stay out: they are a stranger's text, and may quote what was sent. */
export function oauthFailure(issuer: string, error: unknown): GatehouseError {
  if (error instanceof GatehouseError) return error;
  const code =
    error instanceof ResponseBodyError || error instanceof AuthorizationResponseError
      ? error.error
      : error instanceof WWWAuthenticateChallengeError
        ? (error.cause[0]?.parameters.error ?? `HTTP ${error.status}`)
        : undefined;
  if (code === undefined || !/^[\w .-]{1,60}$/.test(code))
    return wrong(`${issuer} did not answer as an authorization server does.`);
  return wrong(`${issuer} refuses: ${code}.`);
}

/** RFC 6749 §3.3; what is no scope token is left out. */
export function splitScopes(text: string | undefined): string[] {
  return [...new Set((text ?? '').split(' ').filter((scope) => /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/.test(scope)))];
}
