import { TASK_DETAILS_TYPE } from '@gatehouse/protocol';
import { AGENT_ALGORITHMS } from '../tokens/jws.ts';

/** Where the authorization server answers, below its issuer. The issuer is the public URL itself. */
export const endpoints = {
  authorize: '/oauth/authorize',
  token: '/oauth/token',
  introspect: '/oauth/introspect',
  revoke: '/oauth/revoke',
  par: '/oauth/par',
  device: '/oauth/device',
  backchannel: '/oauth/backchannel',
  register: '/oauth/register',
  jwks: '/oauth/jwks',
} as const;

/** Pages of the console. */
export const DEVICE_PAGE = '/device';
export const CONSENT_PAGE = '/consent';

export const metadataPaths = {
  oauth: '/.well-known/oauth-authorization-server',
  openid: '/.well-known/openid-configuration',
} as const;

/** RFC 8693 §2.1. */
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

export const grantTypes = {
  clientCredentials: 'client_credentials',
  authorizationCode: 'authorization_code',
  refreshToken: 'refresh_token',
  deviceCode: 'urn:ietf:params:oauth:grant-type:device_code',
  ciba: 'urn:openid:params:grant-type:ciba',
  tokenExchange: TOKEN_EXCHANGE,
  /** RFC 7523 §2.1. */
  jwtBearer: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
} as const;

/** RFC 8693 §3, and the drafts that add to it. */
export const tokenTypes = {
  accessToken: 'urn:ietf:params:oauth:token-type:access_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
  idToken: 'urn:ietf:params:oauth:token-type:id_token',
  idJag: 'urn:ietf:params:oauth:token-type:id-jag',
  transaction: 'urn:ietf:params:oauth:token-type:txn_token',
} as const;

/** draft-ietf-oauth-identity-assertion-authz-grant-03 and later: what an authorization server that takes ID-JAGs says of itself. */
const ID_JAG_PROFILE = 'urn:ietf:params:oauth:grant-profile:id-jag';

interface MetadataOptions {
  /** Where client certificates are asked for, if they are anywhere (RFC 8705 §5: clients that use them go there). */
  mutualTlsUrl?: string | undefined;
  dynamicClients?: boolean;
}

/**
 * RFC 8414 metadata, written without the library that answers the endpoints, which is loaded later. A test compares the two.
 * No scopes are published: what a token is for stands in `authorization_details`, and the person narrows it.
 */
export function serverMetadata(
  issuer: string,
  { mutualTlsUrl, dynamicClients = false }: MetadataOptions = {},
): Record<string, unknown> {
  const clientAuthentication = [
    'private_key_jwt',
    'none',
    'spiffe_jwt',
    ...(mutualTlsUrl === undefined ? [] : ['tls_client_auth']),
  ];
  return {
    issuer,
    authorization_endpoint: issuer + endpoints.authorize,
    token_endpoint: issuer + endpoints.token,
    jwks_uri: issuer + endpoints.jwks,
    introspection_endpoint: issuer + endpoints.introspect,
    revocation_endpoint: issuer + endpoints.revoke,
    pushed_authorization_request_endpoint: issuer + endpoints.par,
    device_authorization_endpoint: issuer + endpoints.device,
    backchannel_authentication_endpoint: issuer + endpoints.backchannel,
    backchannel_token_delivery_modes_supported: ['poll'],
    backchannel_user_code_parameter_supported: false,
    ...(dynamicClients && { registration_endpoint: issuer + endpoints.register }),
    response_types_supported: ['code'],
    response_modes_supported: ['query', 'fragment', 'form_post'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
    client_id_metadata_document_supported: true,
    grant_types_supported: Object.values(grantTypes),
    // What is taken at the jwt-bearer grant beside tokens that a TrustRule names (§7.2), and what the token exchange gives out
    // (§7.1; the member is draft-ietf-oauth-identity-chaining's).
    authorization_grant_profiles_supported: [ID_JAG_PROFILE],
    identity_chaining_requested_token_types_supported: [tokenTypes.idJag],
    token_endpoint_auth_methods_supported: clientAuthentication,
    token_endpoint_auth_signing_alg_values_supported: AGENT_ALGORITHMS,
    introspection_endpoint_auth_methods_supported: clientAuthentication,
    introspection_endpoint_auth_signing_alg_values_supported: AGENT_ALGORITHMS,
    revocation_endpoint_auth_methods_supported: clientAuthentication,
    revocation_endpoint_auth_signing_alg_values_supported: AGENT_ALGORITHMS,
    authorization_details_types_supported: [TASK_DETAILS_TYPE],
    dpop_signing_alg_values_supported: AGENT_ALGORITHMS,
    ...(mutualTlsUrl !== undefined && {
      tls_client_certificate_bound_access_tokens: true,
      mtls_endpoint_aliases: {
        token_endpoint: mutualTlsUrl + endpoints.token,
        introspection_endpoint: mutualTlsUrl + endpoints.introspect,
        revocation_endpoint: mutualTlsUrl + endpoints.revoke,
        pushed_authorization_request_endpoint: mutualTlsUrl + endpoints.par,
        device_authorization_endpoint: mutualTlsUrl + endpoints.device,
        backchannel_authentication_endpoint: mutualTlsUrl + endpoints.backchannel,
      },
    }),
  };
}

/** The same under the OpenID name, with the members that OpenID discovery requires. No ID token is ever issued. */
export function openidMetadata(issuer: string, options: MetadataOptions = {}): Record<string, unknown> {
  return {
    ...serverMetadata(issuer, options),
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [],
  };
}
