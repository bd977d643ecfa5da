import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addDeciderVerbs(program: Command): void {
  addVerb(program, {
    usage: 'on-call',
    summary: 'show who is on call, now and in the days ahead',
    options: [option('--days <number>', 'how far ahead').default('14')],
    server: true,
    examples: [['on-call --days 28', 'Every turn of the next four weeks.']],
    load: async () => (await import('../commands/deciders.ts')).listOnCall,
  });
  const deputies = addGroup(program, 'deputies', 'who says yes in whose place: list, name, confirm, withdraw');
  addVerb(deputies, {
    usage: 'list',
    summary: 'list deputies that are in force or ahead',
    options: [option('--person <email>', 'of or for this person only'), option('--all', 'also what is over')],
    server: true,
    isDefault: true,
    examples: [['deputies list --person dana@example.test', 'Who says yes for her, and for whom she does.']],
    load: async () => (await import('../commands/deciders.ts')).listDeputies,
  });
  addVerb(deputies, {
    usage: 'name',
    summary: 'open the page where a person names their deputy',
    details: 'Never names one by itself: a shell can be shared with an agent, a passkey cannot.',
    options: [option('--no-browser', 'print the address only')],
    server: true,
    examples: [['deputies name', 'For the days of a holiday, for example.']],
    load: async () => (await import('../commands/deciders.ts')).nameDeputy,
  });
  addVerb(deputies, {
    usage: 'confirm <deputy>',
    summary: 'open the page where a proposed deputy is confirmed',
    details: 'The person whose place it is, or a second admin, signs it there with their passkey.',
    options: [option('--no-browser', 'print the address only')],
    server: true,
    examples: [['deputies confirm dep_01jd3v7m2qk8', 'An admin has proposed it, for somebody who can’t name one.']],
    load: async () => (await import('../commands/deciders.ts')).confirmDeputy,
  });
  addVerb(deputies, {
    usage: 'withdraw <deputy>',
    summary: 'end one now; what they said yes to and was not used waits again',
    server: true,
    examples: [['deputies withdraw dep_01jd3v7m2qk8', 'Back from the holiday early.']],
    load: async () => (await import('../commands/deciders.ts')).withdrawDeputy,
  });
}
