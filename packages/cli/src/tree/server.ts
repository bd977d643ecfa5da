import type { Command } from 'commander';
import { addVerb, option } from '../verb.ts';

export function addServerVerbs(program: Command): void {
  addVerb(program, {
    usage: 'start',
    summary: 'run the server',
    details:
      'Runs until Ctrl-C. On the first start an empty database gets the manifests of --workspace. Log lines go to standard error as JSON.',
    options: [
      option(
        '--data-dir <directory>',
        'where the database, keys and working directories live (or GATEHOUSE_DATA_DIR; default .gatehouse)',
      ),
      option('--host <address>', 'address to listen on').default('127.0.0.1'),
      option('--port <number>', 'port to listen on; 0 takes a free one').default('4283'),
      option('--public-url <url>', 'address that people and agents use (default: http://localhost:PORT)'),
      option(
        '--tls-cert <file>',
        'certificate and chain (PEM) for HTTPS on the port; read again when it changes and on SIGHUP (or GATEHOUSE_TLS_CERT)',
      ),
      option('--tls-key <file>', 'its key (PEM) (or GATEHOUSE_TLS_KEY)'),
      option('--tls-client-certificates', 'ask for client certificates on that port too, and open no other for them'),
      option(
        '--mtls-port <number>',
        'port for mutual TLS, with a certificate of Gatehouse’s own trust domain (or GATEHOUSE_MTLS_PORT; default: the one above --port, none where that is taken)',
      ),
      option('--no-mtls-port', 'open none'),
      option(
        '--mtls-url <url>',
        'address that agents use for it (or GATEHOUSE_MTLS_URL; default: the host of the public URL)',
      ),
      option(
        '--ext-authz-port <number>',
        'port for Envoy’s external authorization over gRPC, by mutual TLS only (or GATEHOUSE_EXT_AUTHZ_PORT; default: none)',
      ),
      option('--database <url>', '"sqlite" (in the data directory) or a postgres:// URL').default('sqlite'),
      option('--replica <name>', 'name of this server; owns one Merkle log (default: name of the host)'),
      option(
        '--dynamic-clients',
        'let MCP clients that nobody has registered register themselves (RFC 7591); people still consent to each',
      ),
      option(
        '--client-hosts <host...>',
        'hosts whose client ID metadata documents are read, and no other (default: any public one)',
      ),
      option(
        '--dpop-nonces',
        'every DPoP proof needs a nonce of this server (RFC 9449 §8): a captured one is worth nothing elsewhere',
      ),
      option(
        '--trusted-proxies <ranges...>',
        'addresses or ranges (CIDR) of proxies in front of this server, whose X-Forwarded-For is believed',
      ),
      option(
        '--scim-agents',
        'let directories name agents as well (SCIM, draft-wzdk-scim-agent-resource-00), as AgentMapping manifests say',
      ),
      option(
        '--key-encryption <source...>',
        'what seals stored secrets: file:PATH, env:NAME, command:PROGRAM ARGUMENT…, openbao:URL#transit/keys/NAME, aws-kms:ARN; several to change from one to another (or GATEHOUSE_KEY_ENCRYPTION, one a line; default: keys/key-encryption.key in the data directory)',
      ),
      option('--keep-arguments <days>', 'how long the arguments of actions are kept; 0: for ever (default: 90)'),
      option('--rotate-keys-after <days>', 'age at which signing keys rotate by themselves (default: 30)'),
      option(
        '--witness-policy <file>',
        'who cosigns the checkpoints of the log: witnesses with addresses and a quorum, as c2sp.org/tlog-policy has it (or GATEHOUSE_WITNESS_POLICY)',
      ),
      option(
        '--witness-fail-closed <seconds>',
        'send no call while records have waited longer than this for enough cosignatures (or GATEHOUSE_WITNESS_FAIL_CLOSED; default: calls go on, and the wait is shown)',
      ),
      option(
        '--publish-log <place>',
        'where to write the log as tiles: a directory, or s3://BUCKET/PREFIX?region=REGION&endpoint=URL with AWS credentials (or GATEHOUSE_PUBLISH_LOG)',
      ),
      option('--public-log', 'let everybody read the log’s tiles and checkpoints at /log, which hold every record'),
      option('--workspace <directory>', 'manifests to apply to an empty database (default: the quick-start workspace)'),
      option('--no-workspace', 'apply nothing'),
      option('--log-level <level>', 'what is logged').choices(['debug', 'info', 'warn', 'error']).default('warn'),
    ],
    examples: [
      ['start', 'On http://localhost:4283, with the quick-start workspace.'],
      ['start --port 8080 --data-dir /var/lib/gatehouse --no-workspace', 'Somewhere else, empty.'],
      [
        'start --host 0.0.0.0 --port 443 --public-url https://gatehouse.example --tls-cert /etc/gatehouse/tls.crt --tls-key /etc/gatehouse/tls.key --mtls-port 8443',
        'With HTTPS of its own.',
      ],
      [
        'start --database postgres://gatehouse@db/gatehouse --public-url https://gatehouse.example',
        'One of several replicas.',
      ],
    ],
    load: async () => (await import('../commands/start.ts')).start,
  });
  addVerb(program, {
    usage: 'status',
    summary: 'whether the server is well',
    server: true,
    details:
      'Exit code 0 when it is well; 1 when calls pass and something needs somebody (a credential that could not be ended, a sink that is behind); 69 when it denies everything or does not answer: only then is it for a load balancer or a restart to act.',
    examples: [['status --json', 'The verdict is in `health`, with what is wrong and the page of the console for it.']],
    load: async () => (await import('../commands/status.ts')).status,
  });
  addVerb(program, {
    usage: 'signin-link <email>',
    summary: 'make a one-time sign-in link for a person',
    options: [option('--recovery', 'for a person who has lost every passkey: signs in without one, once')],
    server: true,
    examples: [['signin-link owner@example.test', 'Give it to that person only; it works once.']],
    load: async () => (await import('../commands/status.ts')).signinLink,
  });
  addVerb(program, {
    usage: 'completion <shell>',
    summary: 'print a completion script for bash, zsh or fish',
    examples: [
      ['completion bash > /etc/bash_completion.d/gatehouse', 'For bash.'],
      ['completion zsh > ~/.zfunc/_gatehouse', 'For zsh, with ~/.zfunc in fpath.'],
      ['completion fish > ~/.config/fish/completions/gatehouse.fish', 'For fish.'],
    ],
    load: async () => (await import('../completion.ts')).completion,
  });
  addVerb(program, {
    usage: 'version',
    summary: 'print the version',
    examples: [['version', 'The version of this command line; `status` prints that of the server.']],
    load: async () => (await import('../commands/status.ts')).version,
  });
}
