import type { Requirement } from './requirement.ts';

/** The laws of the house (SECURITY.md). */
export const laws: Requirement[] = [
  {
    id: 'law-1.dispatch-before-send',
    promise:
      'No byte leaves for a tool before its dispatch record is durable; after kill -9 every call that the upstream saw has one',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'law-1.upstream',
    promise:
      'Whatever a tool server does with a call, it is recorded once, and as unknown unless it is known what came of it',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'law-1.followers',
    promise: 'Who follows the record live can neither stop the gate nor take records from others who follow',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'law-1.files-gone',
    promise: 'When the files of the database are gone or replaced nothing is acknowledged, and nothing passes',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'law-1.clock',
    promise: 'A clock that jumps leaves no call unrecorded and brings no approval to life again',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'law-1.unknown',
    promise: 'A dispatch without outcome shows as unknown, never as absent',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'law-1.refusals',
    promise: 'Refusals are recorded',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'law-1.credentials',
    promise:
      'A token, proof or request for a token that is refused is recorded, within bounds, and without what was presented',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'law-1.unwritable',
    promise: 'While the database cannot be written, no call passes',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'law-1.reconnects',
    promise:
      'However the database was lost, and whatever was under way, a server goes on by itself once it is back, and says until then what fails and since when',
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
    id: 'law-2.task-end',
    promise: 'An agent ends the task of its token, with a proof, and no other',
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
  {
    id: 'law-2.no-tier',
    promise: 'A tool to which no operator gave a tier is tier 4',
    source: 'SECURITY.md#law-2',
  },
  {
    id: 'law-3.own-token',
    promise: 'A tool server that wants OAuth gets a token of the gate for this server; the agent has none',
    source: 'SECURITY.md#law-3',
  },
  {
    id: 'law-3.passthrough',
    promise: 'No token, proof or cookie of an agent reaches a tool server',
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
    id: 'law-4.exact',
    promise: 'One changed field of an approved action waits again',
    source: 'SECURITY.md#law-4',
  },
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
  {
    id: 'law-4.nothing-beside',
    promise: 'Nothing of a request reaches a tool server that was not decided on, recorded and shown to who approves',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.restart',
    promise: 'A pending approval survives a restart',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.grant-exact',
    promise:
      'A standing grant covers calls of its own agent, task, tool, definition, policies and authority within the bounds that were signed, and otherwise exactly as approved, however arguments are written',
    source: 'docs/how-to/allow-similar-calls.md',
  },
  {
    id: 'law-4.grant-count',
    promise:
      'No sequence of calls, on any number of replicas, passes beyond the count, sum or time of a standing grant',
    source: 'docs/how-to/allow-similar-calls.md',
  },
  {
    id: 'law-4.grant-signed',
    promise:
      'A standing grant is signed with the yes that it is given with; one changed member of its terms or of its row covers nothing',
    source: 'docs/how-to/allow-similar-calls.md',
  },
  {
    id: 'law-4.grant-policy',
    promise:
      'Standing grants are given only where policy allows, as far as it allows; never across a budget or for what the built-in rules hold, and a change of policy ends them',
    source: 'docs/how-to/allow-similar-calls.md',
  },
  {
    id: 'law-4.fatigue-apart',
    promise:
      'A no to one user of a shared agent stops the same call of none of its other users, and its words reach only the task that asked',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'law-4.once-under-fire',
    promise:
      'An approved call that 64 clients retry at three replicas, one of which is killed while it dispatches, reaches its server once, or is shown as unknown',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.fatigue-shares',
    promise:
      'One proven user of a shared agent has a share of the questions it may ask, so that none silences the others',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'law-4.fatigue',
    promise:
      'An agent asks people only so often, and what was denied is not asked about again for a while; one move denies and suspends',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'law-4.quiet-hours',
    promise: 'In their quiet hours people are told only of what can’t wait and they are on call for',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'law-4.break-glass',
    promise:
      'Two people who did not ask open it for minutes, for tier 3 of one task and named tools; never for tier 4, what is forbidden, what information flow holds, a budget, or what may have run',
    source: 'docs/how-to/break-the-glass.md',
  },
  {
    id: 'law-4.break-glass-signed',
    promise:
      'Both signatures are over exactly what was asked, the second also over with whom and until when; a changed row opens nothing',
    source: 'docs/how-to/break-the-glass.md',
  },
  {
    id: 'law-4.break-glass-bounded',
    promise:
      'Break-glass is asked for once per task and seldom per person, and an operator who switches it off ends what is open',
    source: 'docs/how-to/break-the-glass.md',
  },
  {
    id: 'law-4.break-glass-told',
    promise: 'Each move of break-glass is told in every channel of its tools, in quiet hours too',
    source: 'docs/how-to/break-the-glass.md',
  },
  {
    id: 'law-4.break-glass-review',
    promise: 'It stays in sight until somebody who neither asked nor signed has reviewed it',
    source: 'docs/how-to/break-the-glass.md',
  },
  {
    id: 'law-4.tier-4',
    promise: 'Tier 4 cannot be approved',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.operator',
    promise: 'The local token of the host never approves',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.terminal',
    promise:
      'A session of the command line says yes on no route, makes by itself nobody who could, and runs no program on the server’s host, whatever its person’s roles',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.confirmation',
    promise:
      'What a session of the command line asks for that could widen what agents or people may do is done only after its person confirmed it in a browser; what reads, stops or narrows is done at once; every route is classified',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.confirmation-exact',
    promise:
      'A confirmation is for one session, person, method, path and body, and for the plan that was shown; anything else is refused, and the confirmation stays unused',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.confirmation-person',
    promise:
      'Only the person of the session confirms, in an unrestricted session and with a fresh proof over exactly what was shown; neither the command line, nor an agent, nor the operator can',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.confirmation-once',
    promise:
      'A confirmation is good for 10 minutes and one use, however many race for it; a no, a withdrawal and the end of the session end it',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.confirmation-people',
    promise:
      'What changes who gets in is confirmed with a passkey only; anything else also right after a company sign-in by who has no passkey',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.confirmation-limits',
    promise: 'A session asks 20 times in 10 minutes at most, and for nothing longer than a person reads',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'law-4.confirmation-page',
    promise:
      'The page shows the plan as it would be carried out, which command line asks and since when, to its person alone',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.confirmation-cli',
    promise:
      'The command line waits for its person, or says where to confirm and exits with 3; Ctrl-C withdraws what it asked for; kill waits for nobody',
    source: 'docs/how-to/sign-in-from-the-command-line.md',
  },
  {
    id: 'law-4.oidc',
    promise: 'A company sign-in never adds a passkey to somebody who has one',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-5.audience-of-task',
    promise:
      'A task whose first token was for one server’s address stays that server’s, whatever a later token is asked for',
    source: 'SECURITY.md#law-5',
  },
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
    id: 'law-5.withdrawn',
    promise:
      'Nothing is made for a task whose chain holds a hand-on that its owner has withdrawn, and its SVIDs count no more',
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
    id: 'law-5.declared',
    promise: 'What an agent declares about who asked is recorded and grants nothing',
    source: 'SECURITY.md#law-5',
  },
  {
    id: 'law-6.issue',
    promise:
      'Tokens, ID-JAGs and SVIDs are recorded only while the fences of agent, chain, person and task stand: what changed meanwhile leaves none',
    source: 'SECURITY.md#law-6',
  },
  {
    id: 'law-6.chain',
    promise: 'A kill ends what the agent has handed on to others, and says how many tasks ended',
    source: 'SECURITY.md#law-6',
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
    id: 'law-6.consents',
    promise: 'After a kill nothing that was in flight mints: codes, refresh tokens, device codes',
    source: 'law 6',
  },
  {
    id: 'law-6.departure',
    promise: 'After its owner has left without a successor an agent is suspended, and nothing mints for it',
    source: 'SECURITY.md#law-6',
  },
  {
    id: 'law-6.federation',
    promise: 'No outside proof mints anything for a stopped agent or workload',
    source: 'Law 6',
  },
  {
    id: 'law-6.workload-svids',
    promise: 'A stopped workload gets no SVID, and those from before are refused, also when it is active again',
    source: 'Law 6',
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
    id: 'law-8.shadowing',
    promise:
      'A call reaches the tool of the server that it names and no other, whatever other servers call their tools',
    source: 'SECURITY.md#law-8',
  },
  {
    id: 'law-8.line-jumping',
    promise: 'A server of which a task may use nothing shows its agent nothing',
    source: 'SECURITY.md#law-8',
  },
  {
    id: 'law-8.arguments',
    promise: 'A call that does not fit the approved definition reaches no tool',
    source: 'SECURITY.md#law-8',
  },
  {
    id: 'law-8.server-requests',
    promise: 'Sampling and URL elicitation are off unless granted; each is an action',
    source: 'SECURITY.md#law-8',
  },
  {
    id: 'law-4.endorsed',
    promise:
      'A value that a person endorses with a yes is signed with it, holds for that task alone, is bounded, listed and counted for each call that it covers',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-9.provenance',
    promise:
      'Whom or what a grave call is about has to be named by somebody who vouches for it or by a trusted result; what untrusted content brings, in whatever disguise, waits for a person',
    source: 'SECURITY.md#law-9',
  },
  {
    id: 'law-9.labels',
    promise: 'What a task has read is durable before the agent sees it, and holds on every replica',
    source: 'SECURITY.md#law-9',
  },
  {
    id: 'law-1.thread',
    promise:
      'A database thread that dies is started anew on the same file; until then all is refused, and nothing that was under way is done by half',
    source: 'ARCHITECTURE.md',
  },
  {
    id: 'limits.sqlite-read',
    promise: 'One statement that reads for too long holds up the others for a bounded time',
    source: 'ARCHITECTURE.md',
  },
  {
    id: 'law-9.sealed',
    promise:
      'What was read is taken back by no edit of the database: labels that are not as they were left count as everything, on record, and none is sealed anew',
    source: 'SECURITY.md#law-9',
  },
  {
    id: 'law-9.stores-compared',
    promise: 'An older copy of what a store holds, put back or taken away as a whole, is found by what the record says',
    source: 'docs/explanation/information-flow.md',
  },
  {
    id: 'law-9.unmatched',
    promise: 'What a tool says outside of its labelled fields has the labels of all of them together',
    source: 'SECURITY.md#law-9',
  },
  {
    id: 'law-9.task-results',
    promise: 'The result of an MCP task is masked, labelled and held as that of the call that started it',
    source: 'SECURITY.md#law-9',
  },
  {
    id: 'law-9.laundering',
    promise: 'Another task, another agent, a store or an encoding does not make untrusted content clean',
    source: 'SECURITY.md#law-9',
  },
  {
    id: 'law-10.json',
    promise:
      'Oversized, deep, slow, truncated, non-UTF-8 and duplicate-key JSON and unknown methods get a precise error',
    source: 'SECURITY.md#law-10',
  },
  {
    id: 'law-10.flow-bounded',
    promise: 'Looking for where a value came from takes bounded time, whatever was read and whatever a call says',
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
];
