import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addPolicyVerbs(program: Command): void {
  const policy = addGroup(program, 'policy', 'write policies: check, test, lint, explain, compare, format');
  const definitions = () =>
    option(
      '--definitions <file>',
      'what the tools take, as `gatehouse definitions pull` wrote it (default: definitions.json of the directory, else the server is asked)',
    );
  const ofACall = () => [
    option('--agent <name>', 'who calls (default: any agent whose blueprint has the template)'),
    option('--param <name=value...>', 'parameters of the task; name:=text is never read as JSON'),
    option('--user <email>', 'for whom the task acts'),
    option('--tool <server/tool>', 'what is called; provider#credential for one that the task is handed itself'),
    option('--arg <name=value...>', 'its arguments; name:=text is never read as JSON'),
    option('--situation <json>', 'what is known around it, as in tests: {"untrusted":true}'),
  ];
  addVerb(policy, {
    usage: 'check [directory]',
    summary: 'say everything that an apply of a directory would refuse, with its place',
    details:
      'Manifests and policies are checked against what the tools take. Nothing is changed, and with a file of definitions no server is asked. Ends with 1 when something is wrong.',
    options: [definitions()],
    server: true,
    examples: [
      ['policy check workspace', 'Every problem with file, line and column.'],
      ['policy check workspace --definitions definitions.json --json', 'In a pipeline.'],
    ],
    load: async () => (await import('../commands/policy-check.ts')).check,
  });
  addVerb(policy, {
    usage: 'test [directory]',
    summary: 'run the tests of policies (*.test.yaml) of a directory',
    details:
      'Each test says who calls which tool with which arguments, and what the policies shall say. Shows the policies that no test decides. No server is asked when the definitions are in a file. Ends with 1 when a test fails.',
    options: [
      definitions(),
      option('--junit <file>', 'write the results as JUnit XML, too'),
      option('--min-coverage <percent>', 'fail when fewer of the policies are decided by a test'),
    ],
    server: true,
    examples: [
      ['policy test workspace', 'What fails is explained condition by condition.'],
      ['policy test workspace --junit report.xml --min-coverage 90', 'In a pipeline.'],
    ],
    load: async () => (await import('../commands/policy-test.ts')).test,
  });
  addVerb(policy, {
    usage: 'lint [directory]',
    summary: 'say what in the policies of a directory was probably not meant',
    details:
      'Unused, shadowed, too broad, inverted, swapped, impossible or unfinished. A finding is passed by with @lint_ignore("CODE REASON") on the policy, or in YAML with a comment # lint-ignore CODE REASON above the place. Ends with 1 when there is an error.',
    options: [definitions(), option('--strict', 'end with 1 when there is a warning, too')],
    server: true,
    examples: [['policy lint workspace --strict', 'In a pipeline.']],
    load: async () => (await import('../commands/policy-lint.ts')).lint,
  });
  addVerb(policy, {
    usage: 'diff <before> [after]',
    summary: 'say what differs in meaning between two sets of policies, with calls that they answer otherwise',
    details:
      'Each is a directory, or a number of `policy versions`; with --live one is compared with what is in force on the server. Says of each template, group, policy, budget, tool server (tiers, labels), blueprint, environment and calendar that was added, removed or changed whether it permits more or less, with calls that show it. Ends with 0 when both mean the same, 1 when they do not, 66 when one of them would not load.',
    options: [
      option('--live', 'from what is in force on the server: a directory is merged over it, as a plan does'),
      option('--prune', 'with --live: leave out what the directory does not have'),
      option('--limit <number>', 'calls of each change').default('3'),
      definitions(),
    ],
    server: true,
    examples: [
      ['policy diff workspace changed', 'Two directories; no server is asked where both have their definitions.'],
      ['policy diff workspace --live', 'What an apply would change.'],
      ['policy diff 11 12 --json', 'Two versions, for a program.'],
    ],
    load: async () => (await import('../commands/policy-diff.ts')).diff,
  });
  addVerb(policy, {
    usage: 'explain [action]',
    summary: 'say which policies apply to an action or a call, condition by condition, and what can be done',
    details:
      'Of an action of the record, by its id; or of a call that nobody makes, by its template and tool. It is explained by the policies that are in force now. Ends with 2 when it is refused, 3 when it waits for a person.',
    options: [option('--template <name>', 'under which the task runs'), ...ofACall()],
    server: true,
    examples: [
      ['policy explain act_06h03nqrkr000vfyd29rz07eb8', 'Why it was refused, and what to ask for.'],
      [
        'policy explain --template refund-order --param order=1042 customer=customer-z --tool shop/refund_order --arg order=7 amount_cents=400 currency=EUR reason=broken',
        'What would be said of it.',
      ],
    ],
    load: async () => (await import('../commands/policy-explain.ts')).explain,
  });
  addVerb(program, {
    usage: 'decide',
    summary: 'ask what would be decided of one call, without making it',
    details:
      'Of a task that runs now: by policies, by what it has read, by budgets. Or of one that is only thought of: by policies alone. Nothing is recorded, and nothing used up. Ends with 0 when it would run, 2 when it is refused, 3 when it would wait for a person; `policy explain` says why.',
    options: [
      option('--task <id>', 'the task that would call'),
      option('--template <name>', 'or the template of a task that is only thought of'),
      ...ofACall(),
    ],
    server: true,
    examples: [
      [
        'decide --task task_06h03nqrkr000vfyd29rz07eb8 --tool shop/get_order --arg order=1042',
        'May it, as things are?',
      ],
      ['decide --template code-review --tool git/push --json || echo no', 'In a script.'],
    ],
    load: async () => (await import('../commands/decide.ts')).decide,
  });
  addVerb(policy, {
    usage: 'format [paths...]',
    summary: 'write policies (*.cedar) as the official formatter does',
    details:
      'Files, or directories with all in them. Ends with 1 when something is not formatted and --check is given.',
    options: [option('--check', 'change nothing')],
    examples: [['policy format --check workspace', 'In a pipeline.']],
    load: async () => (await import('../commands/policy-format.ts')).format,
  });
}
