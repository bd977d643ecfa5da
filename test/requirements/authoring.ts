import type { Requirement } from './requirement.ts';

/** What people who write policies are promised. */
export const authoring: Requirement[] = [
  {
    id: 'policy.problems',
    promise:
      'Policies that name an unknown tool or give a wrong type do not load; everything that is wrong is said at once, with line, column and what was probably meant',
    source: 'docs/how-to/write-policies.md',
  },
  {
    id: 'policy.tests',
    promise:
      'Tests beside policies say what each decides, failures are explained, and policies that no test decides are named',
    source: 'docs/how-to/test-policies.md',
  },
];
