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
  {
    id: 'result.held',
    promise: 'A result above its threshold is sealed until a person releases it, and given once without running again',
    source: 'docs/how-to/guard-results.md',
  },
  {
    id: 'result.limited',
    promise:
      'A tool is asked for no more than the limit allows, and what is lowered is what is decided on and recorded',
    source: 'docs/how-to/guard-results.md',
  },
  {
    id: 'result.fields',
    promise: 'A part of a result that an operator calls sensitive is masked whole, also where the result says it again',
    source: 'docs/how-to/guard-results.md',
  },
  {
    id: 'result.unmatched',
    promise: 'Where parts of a result are masked, a text in which they cannot be told from the rest is masked whole',
    source: 'docs/how-to/guard-results.md',
  },
  {
    id: 'result.other-roads',
    promise:
      'Resources, prompts, questions, progress, errors and messages bring nothing of a tool unmasked, unlabelled or past what is held',
    source: 'docs/how-to/guard-results.md',
  },
  {
    id: 'result.masked-on-release',
    promise: 'What is masked since a result was held is masked in it when it is given out',
    source: 'docs/how-to/guard-results.md',
  },
  {
    id: 'result.detectors',
    promise:
      'A detector of the operator, whatever it answers and if it does not, can only raise: label, mask, have a person asked',
    source: 'docs/how-to/guard-results.md',
  },
  {
    id: 'result.held-for-people',
    promise: 'People see which results are held and why, and discard them; only a passkey releases one',
    source: 'docs/how-to/guard-results.md',
  },
];
