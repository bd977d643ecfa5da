import type { Requirement } from '../requirement.ts';

/** What runs is proven, with keys that agents never hold, and hands on no more than it has (laws 2, 3 and 5). */
export const proven: Requirement[] = [
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
];
