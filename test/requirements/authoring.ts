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
    id: 'apply.secrets',
    promise:
      'A plan and an apply say which stored secrets are named and not there, with the command that stores each, whatever kind of manifest names them',
    source: 'docs/how-to/keep-long-lived-secrets.md',
  },
  {
    id: 'policy.tests',
    promise:
      'Tests beside policies say what each decides, failures are explained, and policies that no test decides are named',
    source: 'docs/how-to/test-policies.md',
  },
  {
    id: 'policy.lint',
    promise:
      'Policies that are unused, shadowed, too broad, impossible, inverted, swapped or unfinished are found, each with its place and what to do',
    source: 'docs/how-to/lint-policies.md',
  },
  {
    id: 'policy.published-defects',
    promise:
      'The faults that a published set of policies for agents had are found: an inverted check, swapped field names, an unfinished branch',
    source: 'docs/how-to/lint-policies.md',
  },
  {
    id: 'policy.explained',
    promise:
      'An action, or a call that nobody makes, is explained policy by policy and condition by condition, with what can be done; nothing is recorded or done',
    source: 'docs/how-to/write-policies.md',
  },
  {
    id: 'policy.diff',
    promise:
      'Two sets of policies are compared by what they mean: what was added, removed and changed, whether it permits more or less, and calls that are answered otherwise',
    source: 'docs/how-to/rehearse-a-policy-change.md',
  },
  {
    id: 'policy.shipped',
    promise:
      'Packs and the built-in rules of information flow have tests that say what each template and rule is for, and the linter finds nothing in them',
    source: 'docs/how-to/start-from-a-pack.md',
  },
];
