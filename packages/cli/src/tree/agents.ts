import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

const limit = () => option('--limit <number>', 'how many at most').default('50');

export function addAgentVerbs(program: Command): void {
  addVerb(program, {
    usage: 'agents',
    summary: 'list the agents',
    options: [limit()],
    server: true,
    examples: [['agents', 'Who is registered, and in which state.']],
    load: async () => (await import('../commands/agents.ts')).agents,
  });
  const agent = addGroup(program, 'agent', 'one agent: show, enroll, suspend, activate');
  addVerb(agent, {
    usage: 'show <name>',
    summary: 'show one agent',
    server: true,
    examples: [['agent show agent-coding-copilot-staging', 'Its owner, state, keys and running tasks.']],
    load: async () => (await import('../commands/agents.ts')).showAgent,
  });
  addVerb(agent, {
    usage: 'enroll <name>',
    summary: 'give an agent a key of its own',
    details:
      'The key is made here and stays in its file; only its public part is registered. A file that is there is used again.',
    options: [
      option(
        '--key-file <file>',
        'where the key is kept (default: agents/NAME.jwk in the user’s configuration directory)',
      ),
      option('--keyring', 'keep it in the keyring of the system, and not in a file'),
    ],
    server: true,
    examples: [['agent enroll agent-coding-copilot-staging', 'On the machine that the agent runs on.']],
    load: async () => (await import('../commands/enroll.ts')).enroll,
  });
  const reason = () => option('--reason <text>', 'why; goes into the record').default('');
  addVerb(agent, {
    usage: 'suspend <name>',
    summary: 'let an agent do nothing until it is activated',
    options: [reason()],
    server: true,
    examples: [['agent suspend agent-coding-copilot-staging --reason "owner on leave"', 'Its tasks stop.']],
    load: async () => (await import('../commands/agents.ts')).suspend,
  });
  addVerb(agent, {
    usage: 'activate <name>',
    summary: 'let an agent act (again)',
    options: [reason()],
    server: true,
    examples: [['agent activate agent-coding-copilot-staging', 'Also after a kill. Old tokens stay dead.']],
    load: async () => (await import('../commands/agents.ts')).activate,
  });
  addVerb(program, {
    usage: 'kill <agent>',
    summary: 'stop an agent everywhere, now',
    details:
      'Returns when every replica has confirmed or has lost its lease: after that nothing this agent does passes anywhere.',
    options: [reason()],
    server: true,
    examples: [
      [
        'kill agent-support-refunds-prod --reason "acts on a poisoned ticket"',
        'Calls, streams, tokens and approvals end.',
      ],
    ],
    load: async () => (await import('../commands/agents.ts')).kill,
  });
}
