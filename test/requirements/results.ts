import type { Requirement } from './requirement.ts';

/** What comes back from tools. */
export const results: Requirement[] = [
  {
    id: 'result.hidden',
    promise: 'What a model would read and a person would not see is taken out of results, and what writing needs stays',
    source: 'docs/how-to/guard-results.md',
  },
  {
    id: 'result.remote',
    promise: 'Nothing in a result is fetched from a host that is not allowed when it is shown',
    source: 'docs/how-to/guard-results.md',
  },
  {
    id: 'result.noted',
    promise: 'What was done to a result is told to the agent and on record, by kind and count and never by content',
    source: 'docs/how-to/guard-results.md',
  },
  {
    id: 'result.masked',
    promise: 'Secrets in results are named instead of shown, with one name for one value in a task',
    source: 'docs/how-to/guard-results.md',
  },
  {
    id: 'result.bounded',
    promise: 'A result that is made to be slow to look at takes time in proportion to its length, and types stay',
    source: 'SECURITY.md#law-10',
  },
];
