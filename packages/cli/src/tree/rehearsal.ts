import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

/** What becomes of a change of the policies: tried on what was recorded, shown to a second person, kept as a version, taken back. */
export function addRehearsalVerbs(program: Command): void {
  const policy =
    program.commands.find((command) => command.name() === 'policy') ??
    addGroup(program, 'policy', 'changes of the policies: replay, versions, proposals, what is only observed');
  const since = () => option('--since <time>', 'not before: 30d, 12h, or 2026-01-31T12:00:00Z').default('30d');
  const until = () => option('--until <time>', 'before (default: now)');
  addVerb(policy, {
    usage: 'replay',
    summary: 'decide recorded actions again, as they would be decided with a change',
    details:
      'The manifests of --with are merged over the workspace, as a plan does; nothing is changed. Shows what would newly stop, run or wait, by agent, template, tool and policy, with examples. Ends with 1 when anything would.',
    options: [
      since(),
      until(),
      option('--with <path>', 'directory of manifests, or one file (default: no change)'),
      option('--prune', 'leave out what the directory does not have'),
      option('--proposal <number>', 'in place of --with: what this proposal would change'),
      option('--limit <number>', 'examples of each kind').default('5'),
    ],
    server: true,
    examples: [
      ['policy replay --since 30d --with workspace', 'What the last month would have been with these.'],
      ['policy replay --since 7d --with workspace --limit 50 --json', 'With more examples, for a program.'],
    ],
    load: async () => (await import('../commands/policy-replay.ts')).replay,
  });
  addVerb(policy, {
    usage: 'observed',
    summary: 'show what policies in observe mode would have changed',
    options: [since(), until(), option('--limit <number>', 'action ids of each').default('5')],
    server: true,
    examples: [['policy observed --since 7d', 'Before a policy is enforced: what it would have stopped.']],
    load: async () => (await import('../commands/policy-replay.ts')).observed,
  });
  addVerb(policy, {
    usage: 'versions',
    summary: 'list the versions of all that decides, newest first',
    options: [option('--limit <number>', 'how many at most').default('20')],
    server: true,
    examples: [['policy versions', 'When, by whom, shipped by whom, and why.']],
    load: async () => (await import('../commands/policy-versions.ts')).versions,
  });
  addVerb(policy, {
    usage: 'show <version>',
    summary: 'show one version: what changed with it, and what it was made of',
    server: true,
    examples: [
      ['policy show 12', 'What changed.'],
      ['policy show 12 --json', 'With its manifests.'],
    ],
    load: async () => (await import('../commands/policy-versions.ts')).showVersion,
  });
  addVerb(policy, {
    usage: 'rollback <version>',
    summary: 'go back to a version of all that decides',
    details:
      'Templates, policies, what groups allow and what is said of tools become what they were; agents, people and addresses stay. What only tightens is done at once; the rest waits for a second person where the workspace asks for one (exit code 3).',
    options: [
      option('--plan', 'only show what it would change'),
      option('-m, --message <text>', 'why, for whoever reads the versions').default(''),
    ],
    server: true,
    confirmed: true,
    examples: [
      ['policy rollback 11 --plan', 'Changes nothing.'],
      ['policy rollback 11 -m "12 stopped the night shift"', 'Goes back.'],
    ],
    load: async () => (await import('../commands/policy-versions.ts')).rollback,
  });
  addVerb(policy, {
    usage: 'delete <name>',
    summary: 'take a policy file away',
    details:
      'What only it permits is refused at once. What it forbids or raises is let through without it, which waits for a second person where the workspace asks for one (exit code 3). The version before stays.',
    options: [option('-m, --message <text>', 'why, for whoever reads the versions').default('')],
    server: true,
    confirmed: true,
    examples: [['policy delete night-shift -m "it has ended"', 'Takes it away, or proposes that.']],
    load: async () => (await import('../commands/policy-versions.ts')).remove,
  });
  addVerb(policy, {
    usage: 'proposals',
    summary: 'list changes that wait for a second person, and those that did',
    options: [
      option('--all', 'also those that are decided'),
      option('--limit <number>', 'how many at most').default('50'),
    ],
    server: true,
    examples: [['policy proposals', 'What waits, and where it is shipped.']],
    load: async () => (await import('../commands/policy-proposals.ts')).proposals,
  });
  addVerb(policy, {
    usage: 'ship <proposal>',
    summary: 'show a proposed change, and where a second person ships it with a passkey',
    details:
      'Nothing is shipped at a command line: an agent may share the shell. Opens the browser, and exits with 3 while it waits.',
    options: [
      option('--wait', 'wait until it is decided'),
      option('--no-browser', 'open no browser; print the address'),
    ],
    server: true,
    examples: [['policy ship 12 --wait', 'Exit code 0 once it is shipped.']],
    load: async () => (await import('../commands/policy-proposals.ts')).ship,
  });
  addVerb(policy, {
    usage: 'reject <proposal>',
    summary: 'say no to a proposed change, or take your own back',
    options: [option('--reason <text>', 'why').default('')],
    server: true,
    examples: [['policy reject 12 --reason "replay shows 40 new refunds"', 'It can be proposed again.']],
    load: async () => (await import('../commands/policy-proposals.ts')).reject,
  });
}
