import type { Requirement } from './requirement.ts';

/** What agents usually do. */
export const baselines: Requirement[] = [
  {
    id: 'baseline.learning',
    promise: 'Nothing is unusual for an agent until it has been learned from calls on enough days, and enough calls',
    source: 'law 10',
  },
  {
    id: 'baseline.raises',
    promise:
      'What a known agent does otherwise (tool, hour, rate, resource, amount) waits where it could do harm, says so in numbers, and is seen elsewhere',
    source: 'law 9',
  },
  {
    id: 'baseline.never-lowers',
    promise: 'However usual a call is, its tier is no lower than without a baseline',
    source: 'law 9',
  },
  {
    id: 'baseline.marks',
    promise:
      'The record of an unusual call is marked anomalous and found as that; what failed or may have run still says so',
    source: 'laws 1 and 7',
  },
  {
    id: 'baseline.poisoning',
    promise:
      'Once an agent is known nothing becomes usual without a person, however slowly it drifts; one day of its learning teaches no more than the others',
    source: 'law 9',
  },
  {
    id: 'baseline.reset',
    promise: 'Only a person who may sets a baseline back or accepts what was unusual, and it is on record',
    source: 'law 1',
  },
  {
    id: 'baseline.off',
    promise: 'An environment can switch the rules off; calls are marked all the same',
    source: 'law 9',
  },
  {
    id: 'baseline.replicas',
    promise: 'Replicas add to one baseline; none overwrites what another has learned',
    source: 'law 6',
  },
  {
    id: 'baseline.bounded',
    promise: 'Whatever agents call, and with what, a baseline stays small, and says where it knows no more',
    source: 'law 10',
  },
];
