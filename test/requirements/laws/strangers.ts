import type { Requirement } from '../requirement.ts';

/** Tools are what was approved, text is no authority, bad input gets an answer, and upstreams are strangers (laws 8 to 11). */
export const strangers: Requirement[] = [
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
    id: 'law-9.record-behind',
    promise: 'While the record is still being made searchable, nothing that was read is taken for compared with it',
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
