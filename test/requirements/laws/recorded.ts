import type { Requirement } from '../requirement.ts';

/** What runs is on record before, the past stays, and kill is final (laws 1, 6 and 7). */
export const recorded: Requirement[] = [
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
];
