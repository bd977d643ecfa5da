import type { Requirement } from './requirement.ts';

/** SPIFFE, client certificates, mutual TLS. */
export const trustDomain: Requirement[] = [
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
    id: 'spiffe.x509-leaf',
    promise:
      'An X.509-SVID has exactly one URI SAN, cA=false, critical keyUsage with digitalSignature only, a non-root path; whatever differs is refused',
    source: 'SPIFFE X.509-SVID §§2, 4, 5',
  },
  {
    id: 'spiffe.certification-path',
    promise:
      'A chain is verified up to a root that is valid now; every issuer in it is an authority, and one whose limits are not processed is refused',
    source: 'RFC 5280 §§4.2, 6.1',
  },
  {
    id: 'spiffe.workload-api',
    promise:
      'The Workload API gives the whole set of SVIDs and bundles, to callers with the metadata workload.spiffe.io: true only',
    source: 'SPIFFE Workload API §§5, 6',
  },
  {
    id: 'spiffe.compromise',
    promise:
      'After a compromise the mutual TLS port has a certificate of the new authorities, and an agent an SVID of them as soon as it has their bundle: neither at half of its life, nor by a restart',
    source: 'docs/how-to/use-spiffe.md',
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
    id: 'spiffe.renewal-bound',
    promise: 'SVIDs that are renewed with each other end a day after their holder proved itself with something else',
    source: 'docs/how-to/use-spiffe.md',
  },
  {
    id: 'spiffe.federation-end',
    promise: 'A foreign bundle that cannot be fetched for a day counts for nothing until its endpoint answers again',
    source: 'SPIFFE Trust Domain and Bundle §4.1.4, docs/how-to/use-spiffe.md',
  },
  {
    id: 'spiffe.chain-end',
    promise: 'A verified chain is kept for verified until the first certificate in it ends, and no longer',
    source: 'RFC 5280 §6.1.3',
  },
  {
    id: 'spiffe.federation',
    promise:
      'A foreign bundle comes from its declared address only, never goes back in its sequence, and the last good one survives outages and restarts',
    source: 'SPIFFE Federation §5, Trust Domain and Bundle §4.1',
  },
  {
    id: 'spiffe-client-auth.jwt',
    promise: 'A JWT-SVID proves its agent when this server is its only audience, and once',
    source: 'draft-ietf-oauth-spiffe-client-auth, "Client Authentication with JWT-SVIDs"',
  },
  {
    id: 'spiffe-client-auth.by-rule',
    promise: 'A JWT-SVID of a federated trust domain proves the one agent that a trust rule lets it stand for, once',
    source: 'draft-ietf-oauth-spiffe-client-auth, "Client Authentication with JWT-SVIDs"',
  },
  {
    id: 'spiffe.x509-by-rule',
    promise:
      'An X.509-SVID of a federated trust domain is the one agent that exactly one rule says, and its tokens end with it, its rule and its bundle',
    source: 'RFC 8705 §§2–3; SPIFFE Federation §6',
  },
  {
    id: 'spiffe.two-servers',
    promise:
      'An agent of one Gatehouse calls tools behind another with the SVIDs that it has, as far as a rule there says',
    source: 'docs/how-to/let-agents-in-without-secrets.md',
  },
  {
    id: 'spiffe.certificate-reader',
    promise:
      'What of a certificate is decided by is read as another implementation reads it, whatever bit is changed, or refused',
    source: 'RFC 5280 §4.1; X.690 §10',
  },
];
