import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addActionVerbs(program: Command): void {
  const actions = addGroup(program, 'actions', 'actions of which nobody knows whether they ran: list, resolve');
  addVerb(actions, {
    usage: 'unknown',
    summary: 'list actions that may have changed something, and of which nobody knows whether they ran',
    options: [
      option('--agent <name>', 'of this agent only'),
      option('--limit <number>', 'how many at most').default('50'),
    ],
    server: true,
    isDefault: true,
    examples: [
      ['actions unknown', 'The gate or the upstream died in the middle of each. None of them is sent again by itself.'],
    ],
    load: async () => (await import('../commands/actions.ts')).listUnknown,
  });
  addVerb(actions, {
    usage: 'resolve <action>',
    summary: 'say what came of one, after looking where it would have taken effect',
    details:
      'Recorded with who says so, once. With --not-happened it counts no more on budgets, and the same call may run again; after any other answer the same call in its task asks a person.',
    options: [
      option('--happened', 'it has taken effect').conflicts(['notHappened', 'cannotBeKnown']),
      option('--not-happened', 'it has not').conflicts(['happened', 'cannotBeKnown']),
      option('--cannot-be-known', 'nobody can find out').conflicts(['happened', 'notHappened']),
      option('--note <text>', 'what was looked at, and what was seen').makeOptionMandatory(),
      option('--reference <text>', 'where it can be looked up: a ticket, a transaction'),
    ],
    server: true,
    confirmed: true,
    examples: [
      [
        'actions resolve act_01jd3v7m2qk8 --happened --note "re_91 is in the payment provider" --reference re_91',
        'As the agent’s owner, security or an admin.',
      ],
    ],
    load: async () => (await import('../commands/actions.ts')).resolveUnknown,
  });
}
