import type { Command } from 'commander';
import { addGroup, addVerb, option, serverOptions } from '../verb.ts';

/** Being somebody at a server that runs elsewhere. */
export function addSessionVerbs(program: Command): void {
  const address = serverOptions().filter(({ long }) => long !== '--data-dir');
  addVerb(program, {
    usage: 'login',
    summary: 'sign in at a server as yourself, by saying yes in a browser',
    details:
      'Prints an address and a code; the browser may be on another machine. What comes of it reads and administers as your roles allow, on this computer, for 12 hours. It never approves, consents, changes passkeys or lets anybody in.',
    options: [
      ...address,
      option('--no-browser', 'only print the address'),
      option('--keyring', 'keep the session in the keyring of this system, not in a file'),
    ],
    examples: [
      ['login --url https://gatehouse.example.test', 'Every verb with this address is yours from then on.'],
      ['login --no-browser', 'On a machine without a browser.'],
    ],
    load: async () => (await import('../commands/session.ts')).login,
  });
  addVerb(program, {
    usage: 'logout',
    summary: 'end that session at the server, and remove it from this computer',
    options: [...address, option('--forget', 'remove it here even if the server cannot be reached')],
    examples: [['logout --url https://gatehouse.example.test', 'It is over, for whoever may have a copy, too.']],
    load: async () => (await import('../commands/session.ts')).logout,
  });
  addVerb(program, {
    usage: 'whoami',
    summary: 'say as whom the command line calls this server, since when and until when',
    server: true,
    examples: [['whoami --url https://gatehouse.example.test', 'Person, roles, how signed in.']],
    load: async () => (await import('../commands/session.ts')).whoami,
  });
  const sessions = addGroup(program, 'sessions', 'your own sessions: browsers and command lines');
  addVerb(sessions, {
    usage: 'list',
    summary: 'list your sessions: where, since when, last used',
    server: true,
    isDefault: true,
    examples: [['sessions', 'Where you are signed in.']],
    load: async () => (await import('../commands/session.ts')).listSessions,
  });
  addVerb(sessions, {
    usage: 'end <session>',
    summary: 'end one of your sessions',
    server: true,
    examples: [['sessions end 3f9c0a17be42', 'Of a laptop that is lost.']],
    load: async () => (await import('../commands/session.ts')).endSession,
  });
}
