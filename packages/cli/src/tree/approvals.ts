import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addApprovalVerbs(program: Command): void {
  const approvals = addGroup(program, 'approvals', 'what waits for a person: list, show, approve, deny');
  addVerb(approvals, {
    usage: 'list',
    summary: 'list approvals, newest first',
    options: [
      option('--state <state>', 'in this state; "all" for every one')
        .choices(['pending', 'approved', 'denied', 'expired', 'cancelled', 'consumed', 'all'])
        .default('pending'),
      option('--agent <name>', 'of this agent only'),
      option('--task <task>', 'of this task only'),
      option('--limit <number>', 'how many at most').default('50'),
    ],
    server: true,
    isDefault: true,
    examples: [['approvals', 'What waits now.']],
    load: async () => (await import('../commands/approvals.ts')).listApprovals,
  });
  addVerb(approvals, {
    usage: 'show <approval>',
    summary: 'show one with its exact arguments, and how far it is',
    server: true,
    examples: [['approvals show apr_01jd3v7m2qk8', 'The action, who asks and why a person is needed.']],
    load: async () => (await import('../commands/approvals.ts')).showApproval,
  });
  addVerb(approvals, {
    usage: 'stats',
    summary: 'how people decide: how much, how fast, how often yes',
    options: [
      option('--from <time>', 'since then; without it the last 30 days'),
      option('--to <time>', 'until then'),
      option('--mine', 'of your own answers only'),
    ],
    server: true,
    examples: [['approvals stats', 'Who answers too fast to have read it.']],
    load: async () => (await import('../commands/approval-stats.ts')).approvalStatistics,
  });
  addVerb(approvals, {
    usage: 'approve <approval>',
    summary: 'open the page where a person approves with a passkey',
    details:
      'Never approves by itself: a shell can be shared with an agent, a passkey cannot. Exit code 3 while it waits; with --wait 0 when it was approved and 2 when it was not.',
    options: [option('--wait', 'until somebody has decided'), option('--no-browser', 'print the address only')],
    server: true,
    examples: [['approvals approve apr_01jd3v7m2qk8 --wait', 'In the browser (or the one that BROWSER names).']],
    load: async () => (await import('../commands/approvals.ts')).approve,
  });
  addVerb(approvals, {
    usage: 'deny <approval>',
    summary: 'say no',
    options: [
      option('--reason <text>', 'why; the agent is told').default(''),
      option('--suspend <what>', 'also stop what asked, until a person lets it go on').choices(['task', 'agent']),
    ],
    server: true,
    examples: [
      ['approvals deny apr_01jd3v7m2qk8 --reason "already refunded"', 'The call is refused.'],
      ['approvals deny apr_01jd3v7m2qk8 --suspend task', 'And nothing more is asked by that task.'],
    ],
    load: async () => (await import('../commands/approvals.ts')).deny,
  });
}
