import type { Requirement } from './requirement.ts';

/** The gate and what stands behind it. */
export const gate: Requirement[] = [
  {
    id: 'trace.passed-on',
    promise:
      'The trace that a caller names goes on to the tool server and stands in the record; nothing else that could carry a text goes with it',
    source: 'docs/how-to/trace-with-opentelemetry.md',
  },
  {
    id: 'trace.spans',
    promise:
      'A collector gets a span of each action and of the call of its tool; one that is away or refuses holds nobody up',
    source: 'docs/how-to/trace-with-opentelemetry.md',
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
    id: 'txn-token.verified',
    promise: 'A tool server that asks for transaction tokens can verify each call, and refuse those without one',
    source: 'draft-ietf-oauth-transaction-tokens, Txn-Token Format and Txn-Token Validation',
  },
  {
    id: 'txn-token.context',
    promise: 'A transaction token names the person, every agent of the chain, the task and the approval',
    source: 'draft-ietf-oauth-transaction-tokens, Txn-Token Format; draft-araut-oauth-transaction-tokens-for-agents',
  },
  {
    id: 'txn-token.only-there',
    promise: 'A transaction token goes to the origin that it is for, with an action, and nowhere else',
    source: 'draft-ietf-oauth-transaction-tokens, Using Txn-Tokens; law 3',
  },
  {
    id: 'txn-token.kept',
    promise: 'A transaction token is in no answer and no record',
    source: 'draft-ietf-oauth-transaction-tokens, Logging; law 3',
  },
  {
    id: 'txn-token.no-credential',
    promise: 'No door of ours takes a transaction token for anything',
    source:
      'draft-ietf-oauth-transaction-tokens, Transaction Tokens Are Not Authentication Credentials; RFC 8725 §3.11',
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
    id: 'upstream.browser',
    promise:
      'A connect is gone on with by the person who began it, and finished in the browser in which they did; what comes back elsewhere is recorded and redeemed nowhere',
    source: 'RFC 9700 §4.7',
  },
  {
    id: 'upstream.consent',
    promise:
      'What a person has granted is renewed without them by one request at a time, and ends when it is disconnected',
    source: 'docs/how-to/connect-a-tool-server-that-wants-oauth.md',
  },
  {
    id: 'upstream.asks-again',
    promise:
      'A server that takes no token of ours any more is shown as not connected, and one that a person has just connected is not',
    source: 'docs/how-to/connect-a-tool-server-that-wants-oauth.md',
  },
  {
    id: 'upstream.conformance',
    promise: 'The official suite’s client scenarios about authorization pass through the gate',
    source: 'conformance/RESULTS.md',
  },
  {
    id: 'policy.same-as-official',
    promise:
      'The engine that decides gives the decision, the reasons and the errors of the official Cedar engine, on whatever policies and requests',
    source: 'https://docs.cedarpolicy.com/auth/authorization.html',
  },
  {
    id: 'policy.cedar-corpus',
    promise: "Cedar's published integration tests are answered as they say",
    source: 'https://github.com/cedar-policy/cedar-integration-tests',
  },
  {
    id: 'policy.engines-differ',
    promise: 'Where the two engines do not agree on a live decision, the call is refused and the log says so',
    source: 'SECURITY.md#law-2',
  },
  {
    id: 'policy.bad-input',
    promise:
      'Policies and arguments that are too deep, too large or too odd get a clear error, in bounded time and memory',
    source: 'SECURITY.md#law-10',
  },
  {
    id: 'policy.raised',
    promise: 'A forbid with a tier of 2 or 3 raises what is permitted to it, and never lowers or refuses',
    source: 'docs/how-to/write-policies.md',
  },
  {
    id: 'policy.situation',
    promise: 'Policies see when, from where and under which ticket a call is made, and what its task has read',
    source: 'docs/how-to/write-policies.md',
  },
  {
    id: 'policy.by-kind',
    promise: 'A template may allow tools by effect and domain: one whose effects are not all named is not allowed',
    source: 'docs/how-to/write-policies.md',
  },
  {
    id: 'policy.calendars',
    promise:
      'Policies may ask for the hours of a place: zones, summer time, windows over midnight and holidays are kept',
    source: 'docs/how-to/decide-by-time-place-and-ticket.md',
  },
  {
    id: 'policy.ticket-systems',
    promise:
      'A call can require a ticket of Jira Cloud or ServiceNow in a given state, as their APIs say it, and no other ticket',
    source: 'docs/how-to/decide-by-time-place-and-ticket.md',
  },
  {
    id: 'policy.tickets',
    promise:
      'The state of a ticket is that of its own system, for the agent that it names; what can not be asked about is as none',
    source: 'docs/how-to/decide-by-time-place-and-ticket.md',
  },
  {
    id: 'network.trusted-proxies',
    promise:
      'Where a request comes from is what its connection or a trusted proxy says, and never what a stranger writes',
    source: 'docs/how-to/decide-by-time-place-and-ticket.md',
  },
  {
    id: 'packs.by-kind',
    promise: 'The shipped packs apply together, name no tool, and give a task what its kind needs and no more',
    source: 'docs/how-to/start-from-a-pack.md',
  },
  {
    id: 'breaker.refusals',
    promise:
      'A task that is refused again and again is suspended on every replica, says why, and goes on only when a person lets it',
    source: 'docs/how-to/stop-an-agent.md',
  },
  {
    id: 'breaker.grave',
    promise: 'Attempts at what is prohibited or grave suspend a task sooner than other refusals',
    source: 'docs/how-to/stop-an-agent.md',
  },
  {
    id: 'breaker.burst',
    promise: 'A burst of actions suspends a task; the same number over a longer time does not',
    source: 'docs/how-to/stop-an-agent.md',
  },
  {
    id: 'breaker.agent',
    promise: 'An agent whose tasks are suspended again and again is suspended',
    source: 'docs/how-to/stop-an-agent.md',
  },
  {
    id: 'breaker.fence',
    promise: 'What was decided before a suspension is not sent after it, also when the task was let go on again',
    source: 'docs/how-to/stop-an-agent.md',
  },
  {
    id: 'flow.left-out',
    promise: 'A call that leaves out whom it goes to reaches nobody only where an operator has said so',
    source: 'law 9; docs/how-to/label-tools.md',
  },
  {
    id: 'flow.agentdojo',
    promise:
      'Recorded attacks of a published benchmark leave no effect while nobody approves, and its benign tasks complete',
    source: 'law 9; conformance/RESULTS.md, AgentDojo',
  },
];
