import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addAccountVerbs(program: Command): void {
  const accounts = addGroup(
    program,
    'accounts',
    'accounts at other systems that people let agents use: list, connect, disconnect',
  );
  addVerb(accounts, {
    usage: 'list',
    summary: 'list who lets which agent use an account of theirs, where, and with which scopes',
    options: [option('--agent <name>', 'that this agent uses'), option('--user <email>', 'of this person only')],
    server: true,
    isDefault: true,
    examples: [['accounts --agent agent-mail-prod', 'Whose accounts it may use, and for what.']],
    load: async () => (await import('../commands/accounts.ts')).listAccounts,
  });
  addVerb(accounts, {
    usage: 'connect <provider> <agent>',
    summary: 'open the page where a person lets an agent use their account',
    details: 'Never connects by itself: a shell can be shared with an agent, a signed-in person’s browser cannot.',
    options: [
      option('--scopes <scopes>', 'these only, separated by spaces'),
      option('--no-browser', 'print the address only'),
    ],
    server: true,
    examples: [['accounts connect google agent-mail-prod', 'The person says yes here, and then at Google.']],
    load: async () => (await import('../commands/accounts.ts')).connectAccount,
  });
  addVerb(accounts, {
    usage: 'disconnect [account]',
    summary:
      'take one back, or all that an agent uses: what was issued of them ends, and they are revoked where that can be',
    options: [option('--agent <name>', 'all that this agent uses'), option('--user <email>', 'all of this person')],
    server: true,
    examples: [
      ['accounts disconnect acc_0JX2', 'At once, on all replicas.'],
      ['accounts disconnect --agent agent-mail-prod', 'After a kill, where nothing of it is to stay.'],
    ],
    load: async () => (await import('../commands/accounts.ts')).disconnectAccounts,
  });
}
