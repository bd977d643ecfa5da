import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addStandingGrantVerbs(program: Command): void {
  const grants = addGroup(program, 'grants', 'more calls like one that was approved: list, show, revoke');
  addVerb(grants, {
    usage: 'list',
    summary: 'list standing grants, newest first',
    options: [
      option('--all', 'also those that cover nothing any more'),
      option('--agent <name>', 'of this agent only'),
      option('--task <task>', 'of this task only'),
      option('--limit <number>', 'how many at most').default('50'),
    ],
    server: true,
    isDefault: true,
    examples: [['grants', 'What runs now without being asked about, and how much of it is used.']],
    load: async () => (await import('../commands/standing-grants.ts')).listGrants,
  });
  addVerb(grants, {
    usage: 'show <grant>',
    summary: 'show one with its bounds',
    server: true,
    examples: [['grants show grn_01jd3v7m2qk8', 'Who gave it, what it covers, what is used.']],
    load: async () => (await import('../commands/standing-grants.ts')).showGrant,
  });
  addVerb(grants, {
    usage: 'revoke <grant>',
    summary: 'let it cover nothing any more',
    options: [option('--reason <text>', 'why, for the record').default('')],
    server: true,
    examples: [
      ['grants revoke grn_01jd3v7m2qk8 --reason "ticket closed"', 'The next such call waits for a person again.'],
    ],
    load: async () => (await import('../commands/standing-grants.ts')).revokeGrant,
  });
}
