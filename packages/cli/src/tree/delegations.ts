import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addDelegationVerbs(program: Command): void {
  const delegation = addGroup(program, 'delegation', 'who lets which agent act for them: list, grant, revoke, review');
  addVerb(delegation, {
    usage: 'list',
    summary: 'list standing delegations, newest first',
    options: [
      option('--agent <name>', 'to this agent only'),
      option('--user <email>', 'of this person only'),
      option('--limit <number>', 'how many at most').default('50'),
    ],
    server: true,
    isDefault: true,
    examples: [['delegation list --agent agent-mail-prod', 'For whom it may act, until when, and how often it did.']],
    load: async () => (await import('../commands/delegations.ts')).listDelegations,
  });
  addVerb(delegation, {
    usage: 'grant <agent>',
    summary: 'open the page where a person lets an agent act for them',
    details: 'Never delegates by itself: a shell can be shared with an agent, a signed-in person’s browser cannot.',
    options: [
      option('--template <name>', 'for tasks under this template'),
      option('--no-browser', 'print the address only'),
    ],
    server: true,
    examples: [
      ['delegation grant agent-mail-prod --template answer-mail', 'The person says in the browser what it may.'],
    ],
    load: async () => (await import('../commands/delegations.ts')).grantDelegation,
  });
  addVerb(delegation, {
    usage: 'revoke <delegation>',
    summary: 'end one, and every task that rests on it, now',
    server: true,
    examples: [['delegation revoke dlg_01jd3v7m2qk8', 'On all replicas, before it returns.']],
    load: async () => (await import('../commands/delegations.ts')).revokeDelegation,
  });
  addVerb(delegation, {
    usage: 'review <delegation>',
    summary: 'open the page where its person lets it stand',
    options: [option('--no-browser', 'print the address only')],
    server: true,
    examples: [['delegation review dlg_01jd3v7m2qk8', 'Due every 30 days; until then it is of no use.']],
    load: async () => (await import('../commands/delegations.ts')).reviewDelegation,
  });
}
