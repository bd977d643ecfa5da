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
  const agent = addGroup(program, 'agent', 'one agent: show, enroll, suspend, activate, baseline');
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
      'The key is made here and stays here; only its public part is registered. A key that is there is used again. Without one of the proofs the operator token vouches.',
    options: [
      option(
        '--key-file <file>',
        'where the key is kept (default: agents/NAME.jwk in the user’s configuration directory)',
      ),
      option('--keyring', 'keep it in the keyring of the system, and not in a file'),
      option('--join-token <file>', 'a one-time token, in a file or (-) on standard input'),
      option('--github', 'the identity of this GitHub Actions job'),
      option('--gitlab', 'the identity of this GitLab job, in GATEHOUSE_ID_TOKEN'),
      option('--kubernetes', 'the service account of this pod'),
      option('--token-file <file>', 'where its projected token is (default: /var/run/secrets/tokens/gatehouse)'),
      option('--gcp', 'the service account of this machine on Google Cloud'),
      option('--azure', 'the managed identity of this machine on Azure'),
      option('--aws', 'the AWS identity in the environment or of this container'),
      option('--oidc-token <file>', 'a token of another OpenID issuer, in a file or (-) on standard input'),
    ],
    server: true,
    confirmed: true,
    examples: [
      ['agent enroll agent-coding-copilot-staging', 'As the operator of the server’s host.'],
      ['agent enroll agent-ci-prod --join-token join.txt', 'On any other machine.'],
      ['agent enroll agent-ci-prod --github', 'Where a trust rule takes the platform’s word.'],
    ],
    load: async () => (await import('../commands/enroll.ts')).enroll,
  });
  addVerb(agent, {
    usage: 'join-token <name>',
    summary: 'make a one-time token with which an agent enrols a key',
    options: [
      option('--ttl <minutes>', 'how long it is good').default('60'),
      option('--from <address>', 'an address or range (CIDR) that it is good from; may be repeated').argParser(
        (value: string, before: string[] = []) => [...before, value],
      ),
    ],
    server: true,
    confirmed: true,
    examples: [
      [
        'agent join-token agent-ci-prod > join.txt',
        'Shown once; for `agent enroll --join-token` on the agent’s machine.',
      ],
    ],
    load: async () => (await import('../commands/join-tokens.ts')).createJoinToken,
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
    confirmed: true,
    examples: [['agent activate agent-coding-copilot-staging', 'Also after a kill. Old tokens stay dead.']],
    load: async () => (await import('../commands/agents.ts')).activate,
  });
  addVerb(agent, {
    usage: 'baseline <name>',
    summary: 'show what an agent usually does, or say that something is usual',
    details:
      'What differs from it is marked `anomalous`, and waits for a person where it could do harm. Nothing becomes usual by itself once an agent is known: a person approves the call, or accepts it here.',
    options: [
      option('--accept <tool>', 'what was unusual of this tool is usual from now on'),
      option('--reset', 'forget all of it and learn anew'),
      option('--reason <text>', 'why; goes into the record'),
    ],
    server: true,
    confirmed: true,
    examples: [
      ['agent baseline agent-support-refunds-prod', 'Tools, hours, amounts; or how far the learning is.'],
      [
        'agent baseline agent-support-refunds-prod --accept shop/list_orders --reason "the new weekly report"',
        'As an admin or security; recorded.',
      ],
      [
        'agent baseline agent-support-refunds-prod --reset --reason "other work now"',
        'It is unwatched until it is known again.',
      ],
    ],
    load: async () => (await import('../commands/baseline.ts')).baseline,
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
