import type { LeaseState } from '@gatehouse/protocol';
import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

const states: LeaseState[] = ['intended', 'created', 'active', 'revoking', 'stuck', 'dropped', 'revoked'];

export function addLeaseVerbs(program: Command): void {
  const leases = addGroup(program, 'leases', 'just-in-time credentials of tools: list, show, renew, revoke, give up');
  addVerb(leases, {
    usage: 'list',
    summary: 'list credentials that were issued, newest first',
    options: [
      option('--agent <agent>', 'of this agent'),
      option('--task <task>', 'of this task'),
      option('--provider <provider>', 'of this provider'),
      option('--state <state>', 'in this state').choices(states),
      option('--open', 'only what may still work somewhere'),
      option('--limit <number>', 'how many at most').default('50'),
    ],
    server: true,
    isDefault: true,
    examples: [
      ['leases', 'Who got what, and whether it is gone.'],
      ['leases --open', 'What is out now.'],
      ['leases --state stuck', 'What could not be ended, and what was said.'],
    ],
    load: async () => (await import('../commands/leases.ts')).listLeases,
  });
  addVerb(leases, {
    usage: 'show <lease>',
    summary: 'show one: for whom, what it may do, how far its end has come',
    server: true,
    examples: [['leases show lse_0JX2', 'Never the credential itself.']],
    load: async () => (await import('../commands/leases.ts')).showLease,
  });
  addVerb(leases, {
    usage: 'revoke <lease>',
    summary: 'end a credential now, with the sessions that were opened with it',
    options: [option('--reason <text>', 'for the record')],
    server: true,
    examples: [['leases revoke lse_0JX2 --reason "not needed"', 'The next call of its task gets another.']],
    load: async () => (await import('../commands/leases.ts')).revokeLease,
  });
  addVerb(leases, {
    usage: 'renew <lease>',
    summary: 'have a credential live longer, counted from now, within the bounds that it was issued with',
    options: [option('--ttl <seconds>', 'how long from now; left out: as long as its provider usually gives')],
    server: true,
    examples: [['leases renew lse_0JX2 --ttl 600', 'Ten minutes more, or as long as task and provider allow.']],
    load: async () => (await import('../commands/leases.ts')).renewLease,
  });
  addVerb(leases, {
    usage: 'take-over',
    summary: 'after a restore: the original is gone for good, so that its credentials are ended from here',
    details: 'Not while the original runs: its tasks would lose their credentials in the middle of their work.',
    server: true,
    examples: [['leases take-over', 'Once nothing else runs on what this workspace was restored from.']],
    load: async () => (await import('../commands/leases.ts')).takeOverLeases,
  });
  addVerb(leases, {
    usage: 'drop <lease>',
    summary: 'ask for a stuck credential to be given up; somebody else has to agree, with a passkey',
    options: [option('--reason <text>', 'why, for the record and whoever agrees').makeOptionMandatory()],
    server: true,
    examples: [
      [
        'leases drop lse_0JX2 --reason "the database is decommissioned"',
        'Nothing changes before somebody else agrees.',
      ],
    ],
    load: async () => (await import('../commands/leases.ts')).dropLease,
  });
  addVerb(leases, {
    usage: 'agree <lease>',
    summary: 'open the page where a second person agrees, with a passkey, that a stuck credential is given up',
    details: 'Never agrees by itself: a shell can be shared with an agent, a passkey cannot. Exit code 3: it waits.',
    options: [option('--no-browser', 'print the address only')],
    server: true,
    examples: [['leases agree lse_0JX2', 'Shows exactly what the passkey signs, and where.']],
    load: async () => (await import('../commands/second-yes.ts')).agreeToDrop,
  });

  const providers = addGroup(program, 'providers', 'who issues just-in-time credentials: list, test, trust');
  addVerb(providers, {
    usage: 'list',
    summary: 'list providers, what they can do, and whether they would issue now',
    server: true,
    isDefault: true,
    examples: [['providers', 'Which there are, and whether they are healthy.']],
    load: async () => (await import('../commands/leases.ts')).listProviders,
  });
  addVerb(providers, {
    usage: 'test <provider>',
    summary: 'have a credential issued for nobody, end it, and say how long that took',
    details: 'Exit code 1 when it could not be issued or ended; what went wrong is printed.',
    server: true,
    examples: [['providers test orders', 'Whether address, secret and rights are right.']],
    load: async () => (await import('../commands/leases.ts')).testProvider,
  });
  addVerb(providers, {
    usage: 'trust <provider>',
    summary: 'print the public key or certificate that the system behind a provider has to trust',
    details:
      'Of a provider of SSH certificates: the line for the file that `TrustedUserCAKeys` of sshd names. Of one of AWS with `rolesAnywhere`: the certificates of the trust anchor (PEM).',
    server: true,
    examples: [['providers trust hosts > /etc/ssh/gatehouse-ca.pub', 'On a host, or to be brought there.']],
    load: async () => (await import('../commands/leases.ts')).printTrust,
  });
}
