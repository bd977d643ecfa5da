import type { Command } from 'commander';
import { addGroup, addVerb, confirmationOption, option } from '../verb.ts';

export function addUpstreamVerbs(program: Command): void {
  const servers = addGroup(
    program,
    'servers',
    'tool servers and how Gatehouse authorizes itself there: list, connect, disconnect',
  );
  const environment = () => option('--environment <name>', 'where the server is in several');
  addVerb(servers, {
    usage: 'list',
    summary: 'list tool servers, with the state of their authorization',
    server: true,
    isDefault: true,
    examples: [['servers', 'Which are connected, as whom, with which scopes, until when.']],
    load: async () => (await import('../commands/upstreams.ts')).listServers,
  });
  addVerb(servers, {
    usage: 'connect <server>',
    summary: 'connect a tool server that wants a person’s consent',
    details:
      'Prints the address to open in a browser and waits until the access is granted there. What is granted is used for every agent that its policies let call the server.',
    options: [environment(), option('--no-wait', 'print the address and do not wait'), confirmationOption()],
    server: true,
    examples: [
      ['servers connect tickets --environment prod', 'Sign in there with the account that Gatehouse shall use.'],
    ],
    load: async () => (await import('../commands/upstreams.ts')).connectServer,
  });
  addVerb(servers, {
    usage: 'disconnect <server>',
    summary: 'forget the access to a tool server, and revoke it there',
    options: [environment()],
    server: true,
    examples: [['servers disconnect tickets', 'Its tools fail until it is connected again.']],
    load: async () => (await import('../commands/upstreams.ts')).disconnectServer,
  });
  const secrets = addGroup(
    program,
    'secrets',
    'secrets that Gatehouse authenticates itself with: set, list, rotate, delete',
  );
  addVerb(secrets, {
    usage: 'list',
    summary: 'list long-lived secrets: where they may be sent, how old they are, last use, and when a new one is due',
    server: true,
    isDefault: true,
    examples: [['secrets', 'Values are never shown.']],
    load: async () => (await import('../commands/upstreams.ts')).listSecrets,
  });
  addVerb(secrets, {
    usage: 'set <name>',
    summary: 'set a secret to what standard input holds',
    details: 'One line end at the end is not part of it. The value is sealed, and sent to the origins of --for only.',
    options: [
      option(
        '--for <origin...>',
        'where it may be sent, without a path: of a provider its address, such as postgres://HOST:5432; of an authorization server its issuer’s; stdio://NAME for a tool server’s program',
      ).makeOptionMandatory(),
      option('--owner <email>', 'who looks after it; stays what it was where it is left out'),
      option('--rotate-days <number>', 'days after which a new one is due; `gatehouse status` says so'),
    ],
    server: true,
    confirmed: true,
    examples: [
      [
        'secrets set tickets-client --for https://login.example < secret.txt',
        'For `clientSecret: tickets-client` in a manifest.',
      ],
      [
        'secrets set orders-broker --for postgres://db.internal:5432 < password.txt',
        'For `secret: orders-broker` of a credential provider.',
      ],
    ],
    load: async () => (await import('../commands/upstreams.ts')).setSecret,
  });
  addVerb(secrets, {
    usage: 'rotate <name>',
    summary: 'give the user of a provider a new password, and keep that in place of the stored one',
    details:
      'For the password that one provider of the kind postgres, mariadb or redis signs in with. The new one is random, and nobody sees it; it is in use once it has been tried. Run it again where it did not end: it goes on.',
    server: true,
    confirmed: true,
    examples: [['secrets rotate orders-broker', 'The one before opens nothing any more; leases go on.']],
    load: async () => (await import('../commands/upstreams.ts')).rotateSecret,
  });
  addVerb(secrets, {
    usage: 'delete <name>',
    summary: 'delete a secret that no manifest names any more',
    server: true,
    examples: [['secrets delete tickets-client', 'Nobody can bring it back.']],
    load: async () => (await import('../commands/upstreams.ts')).deleteSecret,
  });
}
