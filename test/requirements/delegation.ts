import type { Requirement } from './requirement.ts';

/** Acting for somebody: standing delegations, token exchange, ID-JAG. */
export const delegation: Requirement[] = [
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
    id: 'id-jag.metadata',
    promise: 'The metadata say that ID-JAGs are taken and given, and not from whom',
    source: 'draft-ietf-oauth-identity-assertion-authz-grant section 7',
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
    id: 'rfc8693.id-token',
    promise:
      "An ID token of the company's provider makes a task for its person, under their delegation and not otherwise",
    source: 'RFC 8693 section 2.1',
  },
  {
    id: 'rfc8693.exchange',
    promise: 'Token exchange gives the acting agent a token of its own with the whole chain, and nobody else’s key',
    source: 'RFC 8693 §2, §4.1',
  },
];
