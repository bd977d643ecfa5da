import type { Requirement } from '../requirement.ts';

/** A person’s yes is to one action (law 4): what they sign, and what stands in for it. */
export const approved: Requirement[] = [
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
    id: 'law-4.oidc',
    promise: 'A company sign-in never adds a passkey to somebody who has one',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.endorsed',
    promise:
      'A value that a person endorses with a yes is signed with it, holds for that task alone, is bounded, listed and counted for each call that it covers',
    source: 'SECURITY.md#law-4',
  },
];
