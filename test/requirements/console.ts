import type { Requirement } from './requirement.ts';

/** What the console shows of policy. */
export const console: Requirement[] = [
  {
    id: 'console.why-held',
    promise:
      'A task’s page says why its calls were held: what it has seen, which result brought each label, and what people endorsed for it',
    source: 'docs/explanation/information-flow.md',
  },
  {
    id: 'console.budgets',
    promise: 'A budget’s page says how much of each limit is used, for whom, and when it starts again, in its own zone',
    source: 'docs/how-to/limit-what-agents-spend.md',
  },
];
