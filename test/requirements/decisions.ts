import type { Requirement } from './requirement.ts';

/** Decisions for other gateways. */
export const decisions: Requirement[] = [
  {
    id: 'authzen.evaluation',
    promise: 'Another gateway can ask whether a call may be made, and is told yes or no with the reason',
    source: 'OpenID AuthZEN Authorization API 1.0, Access Evaluation API; COAZ-MCP binding',
  },
  {
    id: 'authzen.dispatch-first',
    promise: 'When another gateway hears yes the dispatch is on record, as made there and with no known outcome',
    source: 'law 1',
  },
  {
    id: 'authzen.gateway-proven',
    promise:
      'Who asks is a workload that has proven itself and that an operator made a gateway; an agent’s token proves no gateway',
    source: 'law 2; OpenID AuthZEN Authorization API 1.0, Sender authentication',
  },
  {
    id: 'authzen.own-environment',
    promise: 'A gateway speaks of its own environment and of the tool servers behind it, and of nothing else',
    source: 'law 2',
  },
  {
    id: 'authzen.subject-proven',
    promise:
      'An agent at another gateway is proven by its own token with a proof for that gateway’s address, good once',
    source: 'law 2; RFC 9449',
  },
  {
    id: 'authzen.approval',
    promise: 'A call that a person approved is answered yes once, at the gateway that asked and nowhere else',
    source: 'law 4',
  },
  {
    id: 'authzen.access-request',
    promise: 'A denial that a person can lift says so, and can be followed until it is decided',
    source: 'OpenID AuthZEN Access Request and Approval Profile, draft 1',
  },
  {
    id: 'authzen.evaluations',
    promise: 'Several evaluations are answered in order; the two semantics that stop early decide nothing beyond',
    source: 'OpenID AuthZEN Authorization API 1.0, Access Evaluations API',
  },
  {
    id: 'authzen.search',
    promise:
      'A search finds only what the gateway could be told yes about, for subjects proven to it, and records nothing',
    source: 'OpenID AuthZEN Authorization API 1.0, Search APIs',
  },
  {
    id: 'authzen.outcome',
    promise: 'What came of a call is recorded as reported by the gateway that made it, once',
    source: 'law 1',
  },
  {
    id: 'authzen.discovery',
    promise: 'The metadata document names the endpoints where it was asked for',
    source: 'OpenID AuthZEN Authorization API 1.0, PDP Metadata',
  },
  {
    id: 'authzen.limits',
    promise: 'Requests beyond the limits, or that could be read in two ways, are refused before anything is decided',
    source: 'law 10',
  },
  {
    id: 'authzen.labels',
    promise: 'What a task reads at another gateway labels it with all that the tool may return',
    source: 'law 9',
  },
  {
    id: 'authzen.obligations',
    promise:
      'A yes that rests on masking, limiting or holding the result is a no where Gatehouse does not see the result',
    source: 'laws 1, 9',
  },
  {
    id: 'authzen.certification',
    promise: 'The cases of the certification scenario are answered as it says: basic, batch and search',
    source: 'OpenID AuthZEN Authorization API 1.0, certification scenario (2026)',
  },
  {
    id: 'authzen.kill',
    promise: 'A killed agent or gateway is told no from the moment that the kill returns',
    source: 'law 6',
  },
  {
    id: 'ext-authz.mcp',
    promise: 'A real Envoy asks about MCP requests over gRPC and HTTP, and passes on what was permitted',
    source: 'Envoy, envoy.service.auth.v3 and the HTTP filter ext_authz',
  },
  {
    id: 'ext-authz.dispatch-first',
    promise: 'The dispatch is on record before Envoy passes the request on, and what stands behind learns its id',
    source: 'law 1',
  },
  {
    id: 'ext-authz.token-stays',
    promise: 'The agent’s token and proof do not reach what stands behind Envoy',
    source: 'law 3; MCP authorization, token passthrough',
  },
  {
    id: 'ext-authz.refused',
    promise: 'What is refused, unproven, replayed, or could be read in two ways never reaches what stands behind',
    source: 'laws 2, 10',
  },
  {
    id: 'ext-authz.body',
    promise: 'A request of whose body Gatehouse sees only a part is refused',
    source: 'law 10; Envoy, BufferSettings',
  },
  {
    id: 'decide.answers',
    promise:
      '`gatehouse decide` says what would become of a call of a running task, budgets included, and neither records nor uses up anything',
    source: 'docs/reference/cli.md',
  },
  {
    id: 'authzen.replicas',
    promise: 'What one replica was asked, told or made to forget about a gateway holds at every other',
    source: 'laws 4, 6',
  },
  {
    id: 'ext-authz.headers',
    promise:
      'What stands behind Envoy gets no request header that nobody decided on, and that the manifest does not name',
    source: 'laws 2, 3',
  },
  {
    id: 'ext-authz.routes',
    promise: 'An HTTP request passes only where a manifest makes all of it a call of a tool',
    source: 'laws 2, 8',
  },
  {
    id: 'ext-authz.approval',
    promise: 'A request that a person approved passes once, exactly as it was',
    source: 'law 4',
  },
  { id: 'ext-authz.kill', promise: 'After a kill Envoy lets nothing of the agent through', source: 'law 6' },
  { id: 'ext-authz.unavailable', promise: 'Without Gatehouse Envoy lets nothing through', source: 'law 1' },
];
