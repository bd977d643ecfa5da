/**
 * What Gatehouse promises: the laws of the house and every MUST of a specification that it claims. Each has an id, and at least one
 * test that cites it with `@proves ID`; requirements.test.ts fails when one is not cited, or a citation names none.
 */
export interface Requirement {
  id: string;
  promise: string;
  /** The law (SECURITY.md) or the section of the specification. */
  source: string;
}

export const requirements: Requirement[] = [
  {
    id: 'law-1.dispatch-before-send',
    promise:
      'No byte leaves for a tool before its dispatch record is durable; after kill -9 every call that the upstream saw has one',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'law-1.unknown',
    promise: 'A dispatch without outcome shows as unknown, never as absent',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'console.live-credentials',
    promise:
      'The console lists every credential that an agent could act with now, and none that a kill or the end of its task has made worthless',
    source: 'docs/how-to/see-what-an-agent-can-act-with.md',
  },
  {
    id: 'console.shown-once',
    promise: 'A token that is shown once is on no page after it, and a token that is tested is kept nowhere',
    source: 'docs/how-to/see-what-an-agent-can-act-with.md',
  },
  { id: 'law-1.refusals', promise: 'Refusals are recorded', source: 'SECURITY.md#law-1' },
  {
    id: 'backup.restore',
    promise:
      'A restored backup holds the records that were, verifies, and accepts nothing that was given out before: tokens, tasks, sessions, approvals, directory tokens; agents are suspended and the killed stay dead',
    source: 'docs/how-to/back-up-and-restore.md',
  },
  {
    id: 'backup.no-secrets',
    promise:
      'Neither a key-encryption key nor a passphrase is in output, errors, server logs, a command line, or the environment of a child',
    source: 'SECURITY.md#law-3',
  },
  {
    id: 'backup.refused',
    promise: 'A damaged or cut backup, a wrong key and a target that is not empty are refused with nothing written',
    source: 'docs/how-to/back-up-and-restore.md',
  },
  {
    id: 'law-1.unwritable',
    promise: 'While the database cannot be written, no call passes',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'law-1.changes',
    promise: 'An administrative change is recorded in the transaction that makes it',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'law-1.fences',
    promise: 'A dispatch is refused when epoch, policy, tool, server, task or token changed since it was decided',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'law-2.routes',
    promise:
      'Every route refuses callers without, with foreign, expired, wrong-audience credentials and replayed proofs',
    source: 'SECURITY.md#law-2',
  },
  {
    id: 'law-2.default-deny',
    promise: 'Without a permit whose conditions hold nothing is allowed',
    source: 'SECURITY.md#law-2',
  },
  {
    id: 'law-2.policy-error',
    promise: 'A policy that fails while it is evaluated denies',
    source: 'SECURITY.md#law-2',
  },
  { id: 'law-2.no-tier', promise: 'A tool to which no operator gave a tier is tier 4', source: 'SECURITY.md#law-2' },
  { id: 'law-4.exact', promise: 'One changed field of an approved action waits again', source: 'SECURITY.md#law-4' },
  {
    id: 'law-4.once',
    promise: 'An approval is used once, also when retries or replicas race',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.person',
    promise: 'Neither the requester, nor an agent, nor the host, nor a person without the role can approve',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.passkey',
    promise: 'A yes is a user-verified passkey signature over the digest of the action',
    source: 'SECURITY.md#law-4',
  },
  { id: 'law-4.restart', promise: 'A pending approval survives a restart', source: 'SECURITY.md#law-4' },
  { id: 'law-4.tier-4', promise: 'Tier 4 cannot be approved', source: 'SECURITY.md#law-4' },
  {
    id: 'law-5.narrows',
    promise:
      'What is permitted to a delegated task is permitted to every task of its chain, within every narrowing, at no lower tier',
    source: 'SECURITY.md#law-5',
  },
  {
    id: 'law-5.both',
    promise: 'Acting for a person needs the agent permitted and the person; a person without a permit grants nothing',
    source: 'SECURITY.md#law-5',
  },
  {
    id: 'law-5.depth',
    promise: 'A chain has at most eight agents, none of them twice, and no task outlives the one it was handed on from',
    source: 'SECURITY.md#law-5',
  },
  {
    id: 'law-5.ancestors',
    promise: 'Whatever stops a task or an agent of a chain stops all that was handed on from there',
    source: 'SECURITY.md#law-5',
  },
  {
    id: 'law-5.fences',
    promise:
      'A delegated dispatch is refused when anybody on whose authority it was decided has changed or stopped since',
    source: 'SECURITY.md#law-5',
  },
  {
    id: 'law-5.approval',
    promise: 'A yes binds the person, the chain and the narrowing, and the person for whom it is done cannot give it',
    source: 'SECURITY.md#law-5',
  },
  {
    id: 'law-6.chain',
    promise: 'A kill ends what the agent has handed on to others, and says how many tasks ended',
    source: 'SECURITY.md#law-6',
  },
  {
    id: 'delegation.own',
    promise:
      'Only the person, signed in with a passkey, lets an agent act for them; an agent uses only what was given to it',
    source: 'docs/explanation/delegation.md',
  },
  {
    id: 'delegation.revoked',
    promise: 'When a revocation returns, no task that rested on the delegation goes on, and none starts',
    source: 'docs/explanation/delegation.md',
  },
  {
    id: 'law-5.vouched',
    promise:
      'What somebody outside says of a person counts only signed, for us, in time, once, and for who is known here',
    source: 'SECURITY.md#law-5',
  },
  {
    id: 'law-5.chains',
    promise:
      'Over random chains no token or SVID outlives, widens or lengthens what it came from, and a stopped ancestor stops all',
    source: 'SECURITY.md#law-5',
  },
  {
    id: 'rfc8693.id-token',
    promise:
      "An ID token of the company's provider makes a task for its person, under their delegation and not otherwise",
    source: 'RFC 8693 section 2.1',
  },
  {
    id: 'id-jag.issue',
    promise:
      'An ID-JAG is made only for a verified person, where agent, template and group are named, and recorded as ungated',
    source: 'draft-ietf-oauth-identity-assertion-authz-grant section 4.3',
  },
  {
    id: 'id-jag.accept',
    promise: 'An ID-JAG is taken from its own client, once, for this server, and narrows to its resource and scope',
    source: 'draft-ietf-oauth-identity-assertion-authz-grant section 4.4',
  },
  {
    id: 'rfc8693.exchange',
    promise: 'Token exchange gives the acting agent a token of its own with the whole chain, and nobody else’s key',
    source: 'RFC 8693 §2, §4.1',
  },
  {
    id: 'law-5.declared',
    promise: 'What an agent declares about who asked is recorded and grants nothing',
    source: 'SECURITY.md#law-5',
  },
  {
    id: 'law-6.final',
    promise: 'After kill returns no action of the agent passes and its calls and streams have ended',
    source: 'SECURITY.md#law-6',
  },
  {
    id: 'law-6.issuance',
    promise: 'No issuance path mints for a killed agent, and tokens from before stay dead',
    source: 'SECURITY.md#law-6',
  },
  {
    id: 'law-6.replicas',
    promise: 'Kill waits for every replica, or for its feed lease to run out, and says which',
    source: 'SECURITY.md#law-6',
  },
  {
    id: 'law-7.tamper',
    promise: 'Edit, deletion, insertion, reorder, truncation and forged checkpoints are found by verification',
    source: 'SECURITY.md#law-7',
  },
  {
    id: 'law-7.receipt',
    promise: 'Each record has a receipt that verifies with the public key alone',
    source: 'SECURITY.md#law-7',
  },
  {
    id: 'law-8.pinned',
    promise: 'A new or changed definition is held back until it is reviewed; the agent sees it as approved',
    source: 'SECURITY.md#law-8',
  },
  {
    id: 'law-8.server-requests',
    promise: 'Sampling and URL elicitation are off unless granted; each is an action',
    source: 'SECURITY.md#law-8',
  },
  {
    id: 'law-10.json',
    promise:
      'Oversized, deep, slow, truncated, non-UTF-8 and duplicate-key JSON and unknown methods get a precise error',
    source: 'SECURITY.md#law-10',
  },
  {
    id: 'law-10.upstreams',
    promise: 'Upstreams that hang, crash, flood, lie about ids or return 100 MB are cut off with bounded memory',
    source: 'SECURITY.md#law-10',
  },
  {
    id: 'law-11.stranger',
    promise: 'A stdio server cannot read keys, the database, other tasks’ files or the environment',
    source: 'SECURITY.md#law-11',
  },
  {
    id: 'law-11.ssrf',
    promise: 'An HTTP server at a private address is refused unless an operator says that it lives there',
    source: 'SECURITY.md#law-11',
  },
  {
    id: 'mcp.header-body',
    promise: 'Headers that disagree with the body are refused with -32020',
    source: 'MCP 2026-07-28, Streamable HTTP (SEP-2243)',
  },
  {
    id: 'mcp.origin',
    promise: 'A foreign Origin or Host is refused with 403',
    source: 'MCP 2025-11-25 and 2026-07-28, Transports, Security',
  },
  {
    id: 'mcp.request-state',
    promise: 'requestState is integrity-protected, bound to principal and request, and single use',
    source: 'MCP 2026-07-28, Multi Round-Trip Requests (SEP-2322)',
  },
  {
    id: 'mcp.session-binding',
    promise: 'A session id is no credential: it works only for the task that opened it',
    source: 'MCP 2025-11-25, Security Best Practices',
  },
  {
    id: 'rfc9068.token',
    promise:
      'Access tokens are at+jwt with iss, exp, aud, sub, client_id, iat, jti, and no other typ or alg is accepted',
    source: 'RFC 9068 §2, §4',
  },
  {
    id: 'rfc9449.proof',
    promise: 'A DPoP proof fits method, address, token and key, is fresh, and is accepted once',
    source: 'RFC 9449 §4.3',
  },
  {
    id: 'rfc9728.metadata',
    promise: '401 answers name the protected resource metadata, which names the authorization server',
    source: 'RFC 9728 §3, §5',
  },
  {
    id: 'rfc7523.assertion',
    promise: 'A client assertion is for this issuer, short-lived and accepted once',
    source: 'RFC 7523 §3',
  },
  {
    id: 'rfc8705.client-authentication',
    promise:
      'An agent is authenticated by the one SPIFFE ID of its verified client certificate, and by no other name in it',
    source: 'RFC 8705 §2.1',
  },
  {
    id: 'rfc8705.binding',
    promise:
      'A token with x5t#S256 is accepted over a connection made with that certificate only, and introspection shows it',
    source: 'RFC 8705 §3',
  },
  {
    id: 'rfc8705.metadata',
    promise: 'The metadata say where client certificates are asked for, and that tokens can be bound to them',
    source: 'RFC 8705 §3.3, §5',
  },
  {
    id: 'mtls.svid-routes',
    promise:
      'SVIDs are renewed over mutual TLS by an SVID, or by a token with what it is bound to, key or certificate, at the address it was sent to',
    source: 'RFC 8705 §3, RFC 9449 §4.3',
  },
  {
    id: 'mtls.server-certificate',
    promise:
      'New certificates, from files or our own, are used for new connections without a restart, and a bad one changes nothing',
    source: 'docs/how-to/use-tls-and-client-certificates.md',
  },
  {
    id: 'mtls.kill-ends-connections',
    promise: 'The connections that an agent has made with its certificate end when it is killed',
    source: 'law 6',
  },
  {
    id: 'spiffe-client-auth.jwt',
    promise: 'A JWT-SVID proves its agent when this server is its only audience, and once',
    source: 'draft-ietf-oauth-spiffe-client-auth, "Client Authentication with JWT-SVIDs"',
  },
  {
    id: 'rfc9396.details',
    promise: 'Authorization details that do not fit are refused with invalid_authorization_details',
    source: 'RFC 9396 §5',
  },
  {
    id: 'clients.just-the-url',
    promise: 'MCP clients that know nothing but the address connect: metadata, registration, browser, token, call',
    source: 'MCP 2026-07-28, authorization; RFC 9728, RFC 8414, RFC 7591',
  },
  {
    id: 'consent.exactly',
    promise: 'A consent is for what was shown or less: a changed digest or an added tool is refused',
    source: 'law 5',
  },
  {
    id: 'consent.refusals',
    promise: 'A code for another client, verifier, address, resource or task than the one consented to gives no token',
    source: 'RFC 6749 §4.1.3, RFC 7636 §4.6, RFC 8707 §2.2, RFC 9396 §6',
  },
  {
    id: 'law-6.consents',
    promise: 'After a kill nothing that was in flight mints: codes, refresh tokens, device codes',
    source: 'law 6',
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
    id: 'rfc9449.nonce',
    promise: 'Where nonces are required, a proof without one is asked for again',
    source: 'RFC 9449 §8',
  },
  {
    id: 'consent.departed',
    promise: 'When a person leaves, nothing that they have consented to gives a token any more',
    source: 'law 5',
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
    id: 'rfc9700.redirect',
    promise: 'A redirect address counts only if it is registered, compared character by character',
    source: 'RFC 9700 §2.1',
  },
  { id: 'rfc8252.loopback', promise: 'Of a loopback address only the port may vary', source: 'RFC 8252 §7.3' },
  { id: 'consent.framed', promise: 'Pages of consent are shown in no frame', source: 'RFC 9700 §4.16' },
  {
    id: 'consent.fixation',
    promise: 'The answer to a request goes to the browser that began it, once',
    source: 'RFC 9700 §4.7',
  },
  {
    id: 'oauth.cors',
    promise: 'Pages of other origins read the metadata and no answer of an endpoint',
    source: 'docs/how-to/connect-a-client.md',
  },
  { id: 'oauth.limits', promise: 'Each limit of the authorization server holds', source: 'docs/reference/limits.md' },
  {
    id: 'rfc8414.true',
    promise: 'What the metadata promise is so: endpoints, grants, methods and algorithms, and no others',
    source: 'RFC 8414 §2',
  },
  {
    id: 'rfc7591.bound',
    promise: 'Clients that register themselves are bounded in number and life; used ones are kept longer',
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
    id: 'ciba.poll',
    promise: 'An agent asks a person out of band; only that person sees it, and answers with a passkey',
    source: 'OpenID CIBA Core 1.0 §7, §10, §11',
  },
  { id: 'rfc9126.par', promise: 'Authorization requests can be pushed', source: 'RFC 9126 §2' },
  {
    id: 'conformance.authorization',
    promise: 'The official MCP suite finds nothing wrong with the authorization server',
    source: 'MCP 2026-07-28, authorization',
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
    id: 'rfc6749.code-once',
    promise: 'An authorization code is good once; a second use ends what was issued for the first',
    source: 'RFC 6749 §4.1.2, RFC 9700 §2.1',
  },
  {
    id: 'rfc9700.refresh-rotation',
    promise: 'Refresh tokens rotate; a used one coming again ends the family and its task',
    source: 'RFC 9700 §4.14.2',
  },
  { id: 'rfc9207.iss', promise: 'Authorization responses name the issuer', source: 'RFC 9207 §2' },
  {
    id: 'rfc6962.tree',
    promise: 'Roots, inclusion and consistency proofs are those of RFC 6962',
    source: 'RFC 6962 §2.1',
  },
  { id: 'rfc9457.problems', promise: 'API errors are problem details that say what to do next', source: 'RFC 9457 §3' },
  {
    id: 'keys.missing-key',
    promise:
      'Without the key-encryption key that the database is sealed with the server does not start, and changes nothing',
    source: 'SECURITY.md#law-10',
  },
  {
    id: 'spiffe.x509-leaf',
    promise:
      'An X.509-SVID has exactly one URI SAN, cA=false, critical keyUsage with digitalSignature only, a non-root path; whatever differs is refused',
    source: 'SPIFFE X.509-SVID §§2, 4, 5',
  },
  {
    id: 'spiffe.workload-api',
    promise:
      'The Workload API gives the whole set of SVIDs and bundles, to callers with the metadata workload.spiffe.io: true only',
    source: 'SPIFFE Workload API §§5, 6',
  },
  {
    id: 'keys.rotation',
    promise: 'Signing keys rotate by themselves and on demand, and no token is refused over it',
    source: 'SECURITY.md#law-2',
  },
  {
    id: 'keys.compromised',
    promise: 'A signing key that is rotated as compromised ends every token that it signed, at once',
    source: 'SECURITY.md#law-6',
  },
  {
    id: 'keys.rewrap',
    promise:
      'Changing the key-encryption key loses nothing, whenever it is killed, and is verified before the old key is retired',
    source: 'SECURITY.md#law-10',
  },
  {
    id: 'keys.sealed-columns',
    promise: 'Every column that holds sealed values is sealed anew with the others',
    source: 'SECURITY.md#law-10',
  },
  {
    id: 'people.leaves-nothing',
    promise:
      'However somebody leaves, no session, passkey, link, delegation, code, refresh token, device code or CIBA request of theirs is good afterwards, and reinstating brings none back',
    source: 'docs/explanation/roles.md',
  },
  {
    id: 'roles.table',
    promise: 'Every route of the control API lets in exactly the roles that docs/reference/roles.md names',
    source: 'docs/reference/roles.md',
  },
  {
    id: 'roles.denied-recorded',
    promise: 'Who tries to change what they may not is on record',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'roles.laws-stay',
    promise:
      'No policy of a workspace lets the operator approve, gives an agent a place at the control API, or locks the host out',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.operator',
    promise: 'The local token of the host never approves',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'spiffe.own-bundle',
    promise:
      'An SVID is verified with the bundle of the trust domain that it names, and of no other; bundles are never merged',
    source: 'SPIFFE X.509-SVID §5, Trust Domain and Bundle §5',
  },
  {
    id: 'spiffe.jwt-svid',
    promise:
      'A JWT-SVID has sub, aud and exp, is signed by RS, ES or PS with a JWT key of its trust domain, and has no header member but alg, kid and typ',
    source: 'SPIFFE JWT-SVID §§2–5',
  },
  {
    id: 'spiffe.bundle',
    promise:
      'Our bundle has one certificate per X.509 key and no kid there, a kid per JWT key, a sequence that only grows and a refresh hint',
    source: 'SPIFFE Trust Domain and Bundle §4',
  },
  {
    id: 'spiffe.federation',
    promise:
      'A foreign bundle comes from its declared address only, never goes back in its sequence, and the last good one survives outages and restarts',
    source: 'SPIFFE Federation §5, Trust Domain and Bundle §4.1',
  },
  {
    id: 'law-3.own-token',
    promise: 'A tool server that wants OAuth gets a token of the gate for this server; the agent has none',
    source: 'SECURITY.md#law-3',
  },
  {
    id: 'law-3.no-echo',
    promise: 'An answer that holds the token that the server was called with is cut off, and the token used no more',
    source: 'SECURITY.md#law-3',
  },
  {
    id: 'law-3.secrets-stay',
    promise: 'A secret never comes out of the API, and is sent to the origins that it was set for only',
    source: 'SECURITY.md#law-3',
  },
  {
    id: 'upstream.resource',
    promise: 'Tokens are asked for with the resource indicator of the server that is called',
    source: 'MCP authorization, Resource Parameter Implementation; RFC 8707 §2',
  },
  {
    id: 'upstream.bound-token',
    promise: 'Where tokens bound to a key are offered they are used, with a new proof for each request',
    source: 'RFC 9449 §5, §7',
  },
  {
    id: 'upstream.discovery',
    promise:
      'Metadata that is another issuer’s, for another resource, too large, or leads to an address that nobody may call is not used',
    source: 'RFC 9728 §3.3, RFC 8414 §3.3; SECURITY.md#law-11',
  },
  {
    id: 'upstream.no-redirect',
    promise: 'No redirect is followed with a credential',
    source: 'MCP authorization, Security Considerations',
  },
  {
    id: 'upstream.step-up',
    promise: 'After insufficient_scope what was had and what is wanted is asked for together',
    source: 'MCP authorization, Scope Challenge Handling',
  },
  {
    id: 'upstream.scope-bound',
    promise: 'No scope is asked for that the manifest does not allow',
    source: 'docs/how-to/connect-a-tool-server-that-wants-oauth.md',
  },
  {
    id: 'upstream.bounded',
    promise: 'A server that always wants another token or another scope is not asked for ever',
    source: 'MCP authorization, Scope Challenge Handling; SECURITY.md#law-10',
  },
  {
    id: 'upstream.mix-up',
    promise: 'An authorization response of another issuer reaches no token endpoint, and PKCE with S256 is required',
    source: 'RFC 9207 §2.4; MCP authorization, Authorization Code Protection',
  },
  {
    id: 'upstream.consent',
    promise:
      'What a person has granted is renewed without them by one request at a time, and ends when it is disconnected',
    source: 'docs/how-to/connect-a-tool-server-that-wants-oauth.md',
  },
  {
    id: 'upstream.conformance',
    promise: 'The official suite’s client scenarios about authorization pass through the gate',
    source: 'conformance/RESULTS.md',
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
    id: 'law-4.oidc',
    promise: 'A company sign-in never adds a passkey to somebody who has one',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'scim.bearer',
    promise: 'A directory’s token is good at /scim only, is stored as a digest, shown once and revoked at once',
    source: 'RFC 7644 §2',
  },
  {
    id: 'scim.provision',
    promise: 'Users and groups come and change by SCIM; roles come only from mappings that a manifest declares',
    source: 'RFC 7644 §§3.3–3.5',
  },
  {
    id: 'scim.declared',
    promise: 'A directory adds nothing to whom a manifest declares',
    source: 'docs/explanation/roles.md',
  },
  {
    id: 'oidc.back-channel',
    promise: 'A logout token of the provider ends the sessions that it vouched for, once',
    source: 'docs/how-to/company-sign-in.md',
  },
  {
    id: 'scim.pages',
    promise: 'A page of a directory’s list is cut in the database; a filter keeps no more than the page',
    source: 'docs/how-to/provision-people.md',
  },
  {
    id: 'scim-agents.off',
    promise: 'A directory names no agents unless the operator has let it',
    source: 'docs/how-to/provision-people.md',
  },
  {
    id: 'scim-agents.mapped',
    promise:
      'Environment, blueprint and risk of a directory’s agent come from a manifest alone; it takes over no agent that is there',
    source: 'docs/how-to/provision-people.md',
  },
  {
    id: 'scim-agents.not-back',
    promise: 'A directory brings back no agent that was suspended or killed in Gatehouse',
    source: 'docs/how-to/provision-people.md',
  },
  {
    id: 'scim.leaver',
    promise: 'Who is deactivated or deleted in the directory has left: sessions and passkeys end in one transaction',
    source: 'docs/explanation/roles.md',
  },
  {
    id: 'law-6.departure',
    promise: 'After its owner has left without a successor an agent is suspended, and nothing mints for it',
    source: 'SECURITY.md#law-6',
  },
  {
    id: 'people.offboard',
    promise: 'Agents and what they wait for go to the successor; an apply undoes none of it',
    source: 'docs/explanation/roles.md',
  },
  {
    id: 'federation.jwt-bearer',
    promise:
      'A token of an outside issuer becomes a task token of the one agent that a trust rule names, bound to a key',
    source: 'RFC 7523 §2.1; MCP SEP-1933',
  },
  {
    id: 'federation.single-use',
    promise: 'An outside token is taken once, or with the key of its first use only',
    source: 'RFC 7523 §3',
  },
  {
    id: 'federation.deny-by-default',
    promise: 'An outside token that no trust rule names is refused and recorded',
    source: 'Law 2',
  },
  {
    id: 'enrol.join-token',
    promise:
      'A join token enrols one key of one agent, once, until it expires, from the addresses that it was made for',
    source: 'SECURITY.md',
  },
  {
    id: 'enrol.possession',
    promise: 'A key is enrolled only with a DPoP proof by it that is bound to the credential beside it',
    source: 'RFC 9449 §4.2, §4.3',
  },
  {
    id: 'enrol.recorded',
    promise: 'Every enrolment is recorded with how it came about; no enrolment is made that cannot be recorded',
    source: 'Law 1',
  },
  {
    id: 'workload.tasks',
    promise: 'A workload starts tasks only of agents that its manifest names, and one proof starts one task',
    source: 'Law 9',
  },
  {
    id: 'federation.algorithms',
    promise: 'An outside token is signed with an asymmetric algorithm by a fitting key; none and HMAC are refused',
    source: 'RFC 8725 §3.1, §3.2',
  },
  {
    id: 'federation.keys-from-issuer',
    promise: 'Keys come from the issuer that a rule names, and from nothing in the token',
    source: 'RFC 8725 §3.10',
  },
  {
    id: 'federation.audience',
    promise: 'An outside token has exactly one audience, which is this server or the one that its rule names',
    source: 'RFC 7519 §4.1.3; RFC 8725 §3.9',
  },
  {
    id: 'federation.size',
    promise: 'An outside token of more than 16 KiB is refused before it is parsed',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'federation.hostile-issuer',
    promise:
      'An issuer that redirects, points at metadata addresses, claims to be another or floods vouches for nobody',
    source: 'OpenID Connect Discovery 1.0 §4.3; SECURITY.md',
  },
  {
    id: 'federation.outage',
    promise: 'Known keys of an issuer that is away are taken for a day, also after a restart, and no longer',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'federation.refetch',
    promise: 'Key ids that nobody knows make an issuer be asked no more than once in half a minute',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'federation.exclusive',
    promise:
      'Two trust rules that one token can satisfy, and that stand for different principals, are never both applied',
    source: 'SECURITY.md',
  },
  {
    id: 'federation.patterns',
    promise: 'In a pattern * stops at : and /, ** does not, and everything else stands for itself',
    source: 'docs/how-to/let-agents-in-without-secrets.md',
  },
  {
    id: 'federation.presets',
    promise:
      'Claims as GitHub Actions, GitLab, Kubernetes, Google and Entra publish them stand for the agent of their rule alone',
    source: 'docs/how-to/let-agents-in-without-secrets.md',
  },
  {
    id: 'federation.lint',
    promise: 'What is unwise in a trust rule is found and said',
    source: 'docs/how-to/let-agents-in-without-secrets.md',
  },
  {
    id: 'federation.aws',
    promise:
      'A signed GetCallerIdentity stands for the agent of its rule, and only where it was signed for this server, freshly, once',
    source: 'SECURITY.md',
  },
  {
    id: 'federation.manifests',
    promise: 'Every manifest of the guide to federation can be applied as it stands',
    source: 'docs/how-to/let-agents-in-without-secrets.md',
  },
  {
    id: 'law-6.federation',
    promise: 'No outside proof mints anything for a stopped agent or workload',
    source: 'Law 6',
  },
  {
    id: 'cache.one-request',
    promise: 'However many processes of a user ask for the same task’s token together, one asks the server',
    source: 'docs/how-to/run-an-agent.md',
  },
  {
    id: 'cache.private',
    promise: 'Tokens and proof keys are kept in files that nobody else can read; others are refused',
    source: 'docs/how-to/run-an-agent.md',
  },
  {
    id: 'cache.crash',
    promise: 'A process that is killed while it writes leaves a cache that works',
    source: 'docs/how-to/run-an-agent.md',
  },
  {
    id: 'cache.refused',
    promise: 'A cached token is handed out no more once the server has refused its agent',
    source: 'SECURITY.md#law-6',
  },
  {
    id: 'exec.proxy',
    promise: 'A command without any notion of DPoP works through the loopback door that exec gives it',
    source: 'docs/how-to/run-an-agent.md',
  },
  { id: 'exec.task', promise: 'The task ends with the command', source: 'docs/how-to/run-an-agent.md' },
  {
    id: 'exec.secrets',
    promise: 'The token is in no environment, argument list or output of the command',
    source: 'SECURITY.md#law-3',
  },
  {
    id: 'exec.redaction',
    promise: 'A secret is taken out of the output wherever its stream is cut',
    source: 'SECURITY.md#law-3',
  },
  { id: 'exec.signals', promise: 'Signals reach the command', source: 'docs/how-to/run-an-agent.md' },
  {
    id: 'enroll.join-token',
    promise: 'A join token enrols one key, from any machine, and appears in no argument list and no output',
    source: 'docs/how-to/run-an-agent.md',
  },
  {
    id: 'credential.outside-token',
    promise: 'An agent works with the token of its platform alone: it has no key',
    source: 'docs/how-to/run-an-agent.md',
  },
];
