import type { Requirement } from './requirement.ts';

/** How much agents may do. */
export const budgets: Requirement[] = [
  {
    id: 'budget.race',
    promise: 'However many calls, processes and replicas race, no more is let through than a budget has',
    source: 'measure S1c',
  },
  {
    id: 'budget.sum',
    promise: 'Sums are kept exactly, and a refusal says how much is used, of what, for whom and until when',
    source: 'laws 2 and 10',
  },
  {
    id: 'budget.unreadable',
    promise: 'An amount that could be read in two ways never counts as nothing: the call is refused',
    source: 'laws 2 and 10',
  },
  {
    id: 'budget.keys',
    promise: 'Writing a key in another way (case, space, Unicode form) opens no second budget',
    source: 'law 2',
  },
  { id: 'budget.items', promise: 'One call on a list counts as many as the list has', source: 'measure S1c' },
  {
    id: 'budget.chain',
    promise: 'Handing a task on makes no new budget: everybody in the chain is counted for',
    source: 'law 5',
  },
  {
    id: 'budget.window',
    promise: 'No window of a budget ever holds more than its limit, whatever clocks and calendars do',
    source: 'measure S1c',
  },
  {
    id: 'budget.give-back',
    promise: 'What was surely not sent is given back once, on record; what nobody knows stays counted',
    source: 'law 1',
  },
  {
    id: 'budget.concurrent',
    promise: 'No more calls run at once than a budget says, and ended or crashed ones make room',
    source: 'law 1',
  },
  {
    id: 'budget.approval',
    promise: 'Beyond a budget that asks, a person decides about each call, and what they approve still counts',
    source: 'law 4',
  },
  {
    id: 'budget.manifest',
    promise: 'A budget that could not count is refused when it is applied, with its path',
    source: 'law 10',
  },
];
