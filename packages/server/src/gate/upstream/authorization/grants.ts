import {
  ask,
  authorizationServer,
  type OAuthClient,
  requestToken,
  type TokenRequest,
  wrong,
} from '../../../credentials/index.ts';
import { type ClientDependencies, configuredClient, workloadToken } from './client.ts';
import type { Discovered } from './discovery.ts';
import type { OAuthSettings, UpstreamToken } from './types.ts';

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag';

export interface GrantRequest extends Omit<TokenRequest, 'as' | 'client' | 'grantType' | 'parameters' | 'resource'> {
  deps: ClientDependencies;
  settings: OAuthSettings;
  discovered: Discovered;
  /** SPIFFE ID that the gate has in this environment. */
  subject: string;
}

/** The grants that need no person. */
export async function requestWithoutPerson(request: GrantRequest): Promise<UpstreamToken> {
  const { deps, settings, discovered } = request;
  const { as, resource } = discovered;
  const client = await configuredClient(deps, settings, as, settings.clientId ?? request.subject);
  const base = { ...request, as, client, resource };
  switch (settings.grant) {
    case 'client_credentials':
      return requestToken({ ...base, grantType: 'client_credentials', parameters: {} });
    case 'jwt_bearer': {
      const assertion =
        settings.assertion === undefined
          ? await workloadToken(deps, request.subject, as.issuer)
          : (await deps.secrets.open(settings.assertion, as.issuer)).reveal().trim();
      return requestToken({ ...base, grantType: JWT_BEARER, parameters: { assertion } });
    }
    case 'enterprise_managed':
      return requestToken({
        ...base,
        grantType: JWT_BEARER,
        parameters: { assertion: await idJag(request, settings) },
      });
    case 'authorization_code':
      throw wrong('A person has to connect this server.');
  }
}

/**
 * Identity assertion authorization grant (draft-ietf-oauth-identity-assertion-authz-grant §4.3): the company's identity provider says
 * that its user may be acted for at this authorization server, for this resource.
 */
async function idJag(
  request: GrantRequest,
  { identityProvider }: Extract<OAuthSettings, { grant: 'enterprise_managed' }>,
): Promise<string> {
  const { deps, web, discovered, scopes, limits } = request;
  const { issuer, clientId, clientSecret, subjectToken, subjectTokenType } = identityProvider;
  const idp = await authorizationServer(web, issuer, false);
  const client: OAuthClient = await configuredClient(
    deps,
    { grant: 'jwt_bearer', dpop: 'off', ...(clientSecret !== undefined && { clientSecret }) },
    idp,
    clientId,
  );
  const answer = await ask({
    web,
    as: idp,
    client,
    grantType: TOKEN_EXCHANGE,
    parameters: {
      requested_token_type: ID_JAG,
      audience: discovered.as.issuer,
      subject_token: (await deps.secrets.open(subjectToken, issuer)).reveal().trim(),
      subject_token_type: `urn:ietf:params:oauth:token-type:${subjectTokenType}`,
    },
    resource: discovered.resource,
    scopes,
    key: undefined,
    limits,
  });
  if (answer.issued_token_type !== ID_JAG) throw wrong(`${issuer} gave something else than an ID-JAG.`);
  return answer.access_token;
}
