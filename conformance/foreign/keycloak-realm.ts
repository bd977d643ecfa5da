/** The company's realm, as an administrator of Keycloak sets it up by the documentation of Gatehouse. */
export interface RealmOptions {
  /** Public URL of Gatehouse. */
  gatehouse: string;
  /** SPIFFE ID of the agent that is a client of the company. */
  spiffeId: string;
}

export const PASSWORD = 'password of a test';
export const SECRET = 'secret of a test';
/** `sub` of the tokens of `nightly-report`: an id, which no other account ever gets. */
export const SERVICE_ACCOUNT = 'c4b0a2de-64f8-4c1c-9b3a-4d3c1b0a9f01';
/** Declared here; known to the provider alone; both with verified addresses. */
export const people = { declared: 'dana@example.test', stranger: 'mallory@example.test' } as const;

export const realmOf = ({ gatehouse, spiffeId }: RealmOptions) => ({
  realm: 'company',
  enabled: true,
  sslRequired: 'none',
  users: [
    ...Object.values(people).map((email) => ({
      username: email,
      email,
      emailVerified: true,
      enabled: true,
      firstName: 'A',
      lastName: 'Person',
      credentials: [{ type: 'password', value: PASSWORD, temporary: false }],
    })),
    {
      id: SERVICE_ACCOUNT,
      username: 'service-account-nightly-report',
      enabled: true,
      serviceAccountClientId: 'nightly-report',
    },
  ],
  clients: [
    {
      clientId: 'gatehouse',
      redirectUris: [`${gatehouse}/oidc/callback/company`],
      standardFlowEnabled: true,
      clientAuthenticatorType: 'client-jwt',
      attributes: {
        'use.jwks.url': 'true',
        'jwks.url': `${gatehouse}/oidc/jwks`,
        'token.endpoint.auth.signing.alg': 'ES256',
        'pkce.code.challenge.method': 'S256',
        'backchannel.logout.url': `${gatehouse}/oidc/backchannel-logout/company`,
        'backchannel.logout.session.required': 'true',
      },
    },
    // Where people work; it brings their ID tokens.
    {
      clientId: 'mail-application',
      secret: SECRET,
      directAccessGrantsEnabled: true,
      standardFlowEnabled: false,
      protocolMappers: [audience('mail-application')],
    },
    // Services with an account of their own.
    ...['nightly-report', 'other-service'].map((clientId) => ({
      clientId,
      secret: SECRET,
      serviceAccountsEnabled: true,
      standardFlowEnabled: false,
      fullScopeAllowed: false,
      defaultClientScopes: ['basic'],
      protocolMappers: [audience(gatehouse)],
    })),
    // An agent of Gatehouse that has no secret at the company: its JWT-SVID proves it.
    {
      clientId: 'agent',
      serviceAccountsEnabled: true,
      standardFlowEnabled: false,
      clientAuthenticatorType: 'federated-jwt',
      attributes: { 'jwt.credential.issuer': 'gatehouse', 'jwt.credential.sub': spiffeId },
    },
  ],
  identityProviders: [
    {
      alias: 'gatehouse',
      providerId: 'spiffe',
      enabled: true,
      config: { trustDomain: 'spiffe://example.test', bundleEndpoint: `${gatehouse}/.well-known/spiffe/bundle` },
    },
  ],
});

function audience(name: string) {
  return {
    name: 'audience',
    protocol: 'openid-connect',
    protocolMapper: 'oidc-audience-mapper',
    config: { 'included.custom.audience': name, 'access.token.claim': 'true', 'id.token.claim': 'false' },
  };
}
