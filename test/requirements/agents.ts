import type { Requirement } from './requirement.ts';

/** On the agent's side: SDK and CLI. */
export const agents: Requirement[] = [
  {
    id: 'cache.one-request',
    promise: 'However many processes of a user ask for the same task’s token together, one asks the server',
    source: 'docs/how-to/run-an-agent.md',
  },
  {
    id: 'cache.private',
    promise: 'Tokens and proof keys are kept in files that nobody else can read; others are refused',
    source: 'docs/how-to/run-an-agent.md',
  },
  {
    id: 'cache.crash',
    promise: 'A process that is killed while it writes leaves a cache that works',
    source: 'docs/how-to/run-an-agent.md',
  },
  {
    id: 'cache.asked',
    promise: 'A cached token that the server has not vouched for within 10 seconds is printed only after it was asked',
    source: 'docs/how-to/run-an-agent.md',
  },
  {
    id: 'cache.refused',
    promise: 'A cached token is handed out no more once the server has refused its agent',
    source: 'SECURITY.md#law-6',
  },
  {
    id: 'enroll.keyring',
    promise:
      'A key that is kept in the keyring of the system is in no file in the clear, and a keyring that is locked gives nothing and says so',
    source: 'docs/how-to/run-an-agent.md',
  },
  {
    id: 'sdk.private-authority',
    promise:
      'SDK and command line verify the server with the authorities that they are given, in every request; without them they refuse, and say so',
    source: 'docs/how-to/use-tls-and-client-certificates.md',
  },
  {
    id: 'enroll.join-token',
    promise: 'A join token enrols one key, from any machine, and appears in no argument list and no output',
    source: 'docs/how-to/run-an-agent.md',
  },
  {
    id: 'exec.proxy',
    promise: 'A command without any notion of DPoP works through the loopback door that exec gives it',
    source: 'docs/how-to/run-an-agent.md',
  },
  {
    id: 'exec.task',
    promise: 'The task ends with the command',
    source: 'docs/how-to/run-an-agent.md',
  },
  {
    id: 'exec.secrets',
    promise: 'The token is in no environment, argument list or output of the command',
    source: 'SECURITY.md#law-3',
  },
  {
    id: 'exec.proof-withheld',
    promise:
      'What the agent proves itself with is in no variable of the command, of whatever kind, unless --pass-env names it',
    source: 'docs/how-to/run-an-agent.md',
  },
  {
    id: 'exec.redaction',
    promise: 'A secret is taken out of the output wherever its stream is cut',
    source: 'SECURITY.md#law-3',
  },
  {
    id: 'exec.signals',
    promise: 'Signals reach the command',
    source: 'docs/how-to/run-an-agent.md',
  },
  {
    id: 'agent.one-key',
    promise:
      'A key belongs to one agent, on whichever replicas and by whatever ways two would get it in the same moment',
    source: 'docs/how-to/run-an-agent.md',
  },
];
