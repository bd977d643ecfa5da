import type { Requirement } from './requirement.ts';

/** The authorization server: RFCs, OpenID and drafts that it claims. */
export const oauth: Requirement[] = [
  {
    id: 'ciba.poll',
    promise: 'An agent asks a person out of band; only that person sees it, and answers with a passkey',
    source: 'OpenID CIBA Core 1.0 §7, §10, §11',
  },
  {
    id: 'cimd.client',
    promise: 'A client whose id is an address is what the document there says, and gets codes for consent only',
    source: 'draft-ietf-oauth-client-id-metadata-document §3, §4',
  },
  {
    id: 'cimd.refused',
    promise: 'A document that redirects, names another client, carries a secret or is too large is refused',
    source: 'draft-ietf-oauth-client-id-metadata-document §4, §6',
  },
  {
    id: 'cimd.busy',
    promise:
      'Few documents are fetched at once and none twice in a row, and slow ones keep no other client out when they are done',
    source: 'draft-ietf-oauth-client-id-metadata-document §6',
  },
  {
    id: 'cimd.hosts',
    promise: 'Only documents of allowed hosts are fetched',
    source: 'draft-ietf-oauth-client-id-metadata-document §6',
  },
  {
    id: 'cimd.private-addresses',
    promise: 'No private address is asked for a client’s document',
    source: 'draft-ietf-oauth-client-id-metadata-document §6.5',
  },
  {
    id: 'clients.just-the-url',
    promise: 'MCP clients that know nothing but the address connect: metadata, registration, browser, token, call',
    source: 'MCP 2026-07-28, authorization; RFC 9728, RFC 8414, RFC 7591',
  },
  {
    id: 'conformance.authorization',
    promise: 'The official MCP suite finds nothing wrong with the authorization server',
    source: 'MCP 2026-07-28, authorization',
  },
  {
    id: 'oauth.no-enumeration',
    promise: 'Whoever proves nothing hears at no endpoint whether an agent of some name exists',
    source: 'RFC 6749 §5.2, RFC 9700 §4',
  },
  {
    id: 'rfc7009.whatever-its-chain',
    promise: 'A token that is revoked while it is refused for another reason stays revoked when that reason is gone',
    source: 'RFC 7009 §2',
  },
  {
    id: 'consent.exactly',
    promise: 'A consent is for what was shown or less: a changed digest or an added tool is refused',
    source: 'law 5',
  },
  {
    id: 'consent.standing-off',
    promise: 'A consent leaves no standing delegation unless the person says so; no client or agent can ask for one',
    source: 'law 5; docs/explanation/consent.md',
  },
  {
    id: 'consent.standing-exact',
    promise:
      'A standing delegation left by a consent is for its template, values, tools, servers and time, and no more',
    source: 'law 5',
  },
  {
    id: 'rfc9396.narrower',
    promise: 'Of the tools that a client has asked for a person is offered, and the client granted, no others',
    source: 'RFC 9396 section 7',
  },
  {
    id: 'consent.standing-signed',
    promise:
      'Out of band the passkey signs the whole answer (parameters, tools, time, intent, days): one that differs is refused',
    source: 'law 4',
  },
  {
    id: 'consent.standing-policy',
    promise: 'Whom the policies let make no delegation leaves none with a consent either',
    source: 'docs/explanation/roles.md',
  },
  {
    id: 'consent.standing-whole',
    promise: 'Consent and standing delegation are made together or not at all',
    source: 'law 10',
  },
  {
    id: 'consent.refusals',
    promise: 'A code for another client, verifier, address, resource or task than the one consented to gives no token',
    source: 'RFC 6749 §4.1.3, RFC 7636 §4.6, RFC 8707 §2.2, RFC 9396 §6',
  },
  {
    id: 'consent.departed',
    promise:
      'When a person leaves, nothing that they have consented to gives a token any more, not even when they are back',
    source: 'law 5',
  },
  {
    id: 'consent.framed',
    promise: 'Pages of consent are shown in no frame',
    source: 'RFC 9700 §4.16',
  },
  {
    id: 'consent.fixation',
    promise: 'The answer to a request goes to the browser that began it, once',
    source: 'RFC 9700 §4.7',
  },
  {
    id: 'consent.flow',
    promise:
      'A client that a person drives gets a token for that person, of the agent and narrowed to the tools consented to',
    source: 'law 5; RFC 6749 §4.1',
  },
  {
    id: 'consent.browser',
    promise: 'A consent is answered only in the browser in which it was asked for',
    source: 'RFC 9700 §4.7; laws 4, 5',
  },
  {
    id: 'interop.oauth4webapi',
    promise: 'oauth4webapi gets along with the authorization server: code, PAR, RAR, DPoP with nonces, device, CIBA',
    source: 'docs/how-to/connect-a-client.md',
  },
  {
    id: 'interop.openid-client',
    promise: 'openid-client does: code, PAR, DPoP with nonces, registration, device, CIBA, token exchange',
    source: 'docs/how-to/connect-a-client.md',
  },
  {
    id: 'oauth.cors',
    promise: 'Pages of other origins read the metadata and no answer of an endpoint',
    source: 'docs/how-to/connect-a-client.md',
  },
  {
    id: 'oauth.limits',
    promise: 'Each limit of the authorization server holds',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'oauth.forgets',
    promise: 'Codes, requests and assertions whose time is over are forgotten, whether or not anybody asks for tokens',
    source: 'docs/explanation/consent.md',
  },
  {
    id: 'oauth.unfinished-bound',
    promise: 'Requests that anybody can begin are bounded, by client and in all; a flood locks nobody out',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'oidc.sign-in',
    promise: 'A person signs in with the company’s OpenID provider: code, PKCE, state, nonce, issuer',
    source: 'OpenID Connect Core §3.1, RFC 7636, RFC 9207',
  },
  {
    id: 'oidc.declared-only',
    promise: 'Whom the provider knows and the workspace does not is nobody here',
    source: 'SECURITY.md#law-2',
  },
  {
    id: 'oidc.groups-bound',
    promise: 'Of the groups that a provider names as many count as the limit says',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'oidc.declared-roles',
    promise: 'Whom a manifest declares gets no role from a group at the provider',
    source: 'docs/how-to/company-sign-in.md',
  },
  {
    id: 'oidc.issuer',
    promise: 'A provider whose metadata name another issuer than its manifest, by a single byte, is not believed',
    source: 'OIDC Discovery §4.3',
  },
  {
    id: 'oidc.takeover',
    promise:
      'An account is known by issuer and subject; an address that changes at the provider makes nobody somebody else',
    source: 'OpenID Connect Core §5.7',
  },
  {
    id: 'oidc.replay',
    promise: 'A sign-in is finished once, in the browser that began it, at the provider that was asked',
    source: 'RFC 9700 §§4.4, 4.7',
  },
  {
    id: 'oidc.id-token',
    promise: 'An ID token without signature, nonce, audience, issuer or life opens nothing',
    source: 'OpenID Connect Core §3.1.3.7',
  },
  {
    id: 'oidc.back-channel',
    promise: 'A logout token of the provider ends the sessions that it vouched for, once',
    source: 'docs/how-to/company-sign-in.md',
  },
  {
    id: 'rfc6749.code-once',
    promise: 'An authorization code is good once; a second use ends what was issued for the first',
    source: 'RFC 6749 §4.1.2, RFC 9700 §2.1',
  },
  {
    id: 'rfc6962.tree',
    promise: 'Roots, inclusion and consistency proofs are those of RFC 6962',
    source: 'RFC 6962 §2.1',
  },
  {
    id: 'rfc7523.assertion',
    promise: 'A client assertion is for this issuer, short-lived and accepted once',
    source: 'RFC 7523 §3',
  },
  {
    id: 'rfc7591.bound',
    promise: 'Clients that register themselves are bounded in number and life; used ones are kept longer',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'rfc8252.loopback',
    promise: 'Of a loopback address only the port may vary',
    source: 'RFC 8252 §7.3',
  },
  {
    id: 'rfc8414.true',
    promise: 'What the metadata promise is so: endpoints, grants, methods and algorithms, and no others',
    source: 'RFC 8414 §2',
  },
  {
    id: 'rfc8628.slow-down',
    promise: 'Who polls faster than the interval is told slow_down, and the interval grows',
    source: 'RFC 8628 §3.5',
  },
  {
    id: 'rfc8628.device',
    promise: 'A device gets its token after a person has consented, once',
    source: 'RFC 8628 §3',
  },
  {
    id: 'rfc9068.token',
    promise:
      'Access tokens are at+jwt with iss, exp, aud, sub, client_id, iat, jti, and no other typ or alg is accepted',
    source: 'RFC 9068 §2, §4',
  },
  {
    id: 'rfc9126.par',
    promise: 'Authorization requests can be pushed',
    source: 'RFC 9126 §2',
  },
  {
    id: 'rfc9207.iss',
    promise: 'Authorization responses name the issuer',
    source: 'RFC 9207 §2',
  },
  {
    id: 'rfc9396.details',
    promise: 'Authorization details that do not fit are refused with invalid_authorization_details',
    source: 'RFC 9396 §5',
  },
  {
    id: 'rfc9449.proof',
    promise: 'A DPoP proof fits method, address, token and key, is fresh, and is accepted once',
    source: 'RFC 9449 §4.3',
  },
  {
    id: 'rfc9449.nonce',
    promise: 'Where nonces are required, a proof without one is asked for again',
    source: 'RFC 9449 §8',
  },
  {
    id: 'rfc9457.problems',
    promise: 'API errors are problem details that say what to do next',
    source: 'RFC 9457 §3',
  },
  {
    id: 'rfc9700.redirect',
    promise: 'A redirect address counts only if it is registered, compared character by character',
    source: 'RFC 9700 §2.1',
  },
  {
    id: 'rfc9700.refresh-bound',
    promise: 'A refresh token bound to a key is refused with another key or none, recorded, and stays good for its own',
    source: 'RFC 9700 §4.14.2',
  },
  {
    id: 'rfc9700.refresh-rotation',
    promise: 'Refresh tokens rotate; a used one coming again ends the family and its task',
    source: 'RFC 9700 §4.14.2',
  },
  {
    id: 'rfc9728.metadata',
    promise: '401 answers name the protected resource metadata, which names the authorization server',
    source: 'RFC 9728 §3, §5',
  },
];
