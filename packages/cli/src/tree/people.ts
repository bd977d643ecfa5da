import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addPeopleVerbs(program: Command): void {
  const people = addGroup(program, 'people', 'who is known, with which roles; sessions; leaving');
  addVerb(people, {
    usage: 'list',
    summary: 'list people: roles, where they come from, what they own',
    options: [option('--search <words>', 'whose name, address, roles, source or groups have all of these words')],
    server: true,
    isDefault: true,
    examples: [
      ['people', 'Everybody, also who has left.'],
      ['people list --search "auditor scim"', 'Auditors who came by the directory.'],
    ],
    load: async () => (await import('../commands/people.ts')).listPeople,
  });
  addVerb(people, {
    usage: 'show <email>',
    summary: 'show one person',
    server: true,
    examples: [['people show dana@example.test', 'Roles, groups, sign-in, agents.']],
    load: async () => (await import('../commands/people.ts')).showPerson,
  });
  addVerb(people, {
    usage: 'offboard <email>',
    summary: 'have somebody leave',
    details:
      'Ends their sessions, passkeys, delegations and join tokens. Their agents go to the successor, or are suspended; their keys are dropped, because the person may have copies, and the agents enrol again. An apply does not bring them back.',
    options: [
      option('--successor <email>', 'who takes the agents over (default: of their manifest, or their manager)'),
      option('--keep-keys', 'let the agents go on with the keys that they have'),
      option('--reason <text>', 'why; goes into the record').default(''),
    ],
    server: true,
    confirmed: true,
    examples: [
      [
        'people offboard dana@example.test --successor erin@example.test',
        'Erin answers for the agents now, and enrols them again.',
      ],
      [
        'people offboard dana@example.test --successor erin@example.test --keep-keys',
        'The agents run on: nobody but their machines ever had the keys.',
      ],
    ],
    load: async () => (await import('../commands/people.ts')).offboardPerson,
  });
  addVerb(people, {
    usage: 'reinstate <email>',
    summary: 'bring somebody back who has left',
    server: true,
    examples: [['people reinstate dana@example.test', 'They sign in anew; agents stay as they are.']],
    load: async () => (await import('../commands/people.ts')).reinstatePerson,
  });
  addVerb(people, {
    usage: 'sessions <email>',
    summary: 'list the sessions of a person, or end them',
    options: [option('--end', 'end all of them')],
    server: true,
    examples: [['people sessions dana@example.test --end', 'They have to sign in again, everywhere.']],
    load: async () => (await import('../commands/people.ts')).personSessions,
  });
  const scim = addGroup(program, 'scim', 'the company’s directory: its tokens');
  const token = addGroup(scim, 'token', 'tokens of directories: create, list, revoke');
  addVerb(token, {
    usage: 'create <name>',
    summary: 'make a token for a directory; it is shown once',
    options: [option('--expires-in-days <number>', 'how long it is good for (default: until it is revoked)')],
    server: true,
    examples: [
      ['scim token create entra --expires-in-days 365', 'Paste it into the provisioning page of the directory.'],
    ],
    load: async () => (await import('../commands/people.ts')).createScimToken,
  });
  addVerb(token, {
    usage: 'list',
    summary: 'list the tokens of directories',
    server: true,
    examples: [['scim token list', 'When each was used last.']],
    load: async () => (await import('../commands/people.ts')).listScimTokens,
  });
  addVerb(token, {
    usage: 'revoke <id>',
    summary: 'revoke a token',
    server: true,
    examples: [['scim token revoke tok_01jd3v7m2qk8', 'The directory can change nothing from then on.']],
    load: async () => (await import('../commands/people.ts')).revokeScimToken,
  });
}
