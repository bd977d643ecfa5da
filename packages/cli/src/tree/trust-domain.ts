import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addTrustDomainVerbs(program: Command): void {
  const load = () => import('../commands/trust-domain.ts');
  const group = addGroup(program, 'trust-domain', 'the SPIFFE trust domain: its authorities, keys and federation');
  addVerb(group, {
    usage: 'show',
    summary: 'show authorities, keys, and the trust domains it federates with',
    server: true,
    isDefault: true,
    examples: [['trust-domain', 'Who signs, until when, and how fresh foreign bundles are.']],
    load: async () => (await load()).showTrustDomain,
  });
  addVerb(group, {
    usage: 'rotate',
    summary: 'make the next intermediate or JWT-SVID key',
    details: 'It is published now, and signs when every federated trust domain has had the time to fetch it.',
    options: [
      option('--jwt', 'the JWT-SVID key, and not the X.509 intermediate'),
      option('--compromised', 'destroy those of now at once; every SVID has to be fetched again'),
    ],
    server: true,
    examples: [
      ['trust-domain rotate', 'Nothing breaks.'],
      ['trust-domain rotate --compromised', 'A new root and intermediate; what the old ones signed is refused.'],
    ],
    load: async () => (await load()).rotate,
  });
  addVerb(group, {
    usage: 'request-intermediate',
    summary: 'make a signing request, for a root that is held elsewhere',
    options: [option('--out <file>', 'where to write the request (PEM); standard output otherwise')],
    server: true,
    confirmed: true,
    examples: [['trust-domain request-intermediate --out gatehouse.csr', 'To be signed by the root.']],
    load: async () => (await load()).requestIntermediate,
  });
  addVerb(group, {
    usage: 'import-intermediate <file>',
    summary: 'import the signed intermediate, followed by its root (PEM)',
    server: true,
    confirmed: true,
    examples: [['trust-domain import-intermediate chain.pem', 'The root leads the bundle from now on.']],
    load: async () => (await load()).importIntermediate,
  });
  addVerb(group, {
    usage: 'export-root',
    summary: 'write the root and its key, encrypted, to a file',
    options: [
      option('--out <file>', 'a new file').makeOptionMandatory(),
      option('--passphrase-file <file>', 'what its key is encrypted with').makeOptionMandatory(),
    ],
    server: true,
    examples: [
      ['trust-domain export-root --out root.pem --passphrase-file passphrase', 'Before it is forgotten here.'],
    ],
    load: async () => (await load()).exportRoot,
  });
  addVerb(group, {
    usage: 'forget-root <id>',
    summary: 'remove the key of a root from the database',
    server: true,
    confirmed: true,
    examples: [['trust-domain forget-root CoV0…', 'From then on intermediates are signed elsewhere.']],
    load: async () => (await load()).forgetRoot,
  });
  const spiffe = addGroup(program, 'spiffe', 'SPIFFE on the agent’s side');
  addVerb(spiffe, {
    usage: 'serve',
    summary: 'serve the SPIFFE Workload API to the processes of an agent or a workload',
    details:
      'Runs until Ctrl-C. Whoever can open the socket is the agent or workload: its directory must be this user’s alone. Set SPIFFE_ENDPOINT_SOCKET to what it prints.',
    options: [
      option('--socket <path>', 'where to listen; the directory is made if it is not there').makeOptionMandatory(),
      ...whose(),
    ],
    server: true,
    examples: [
      [
        'spiffe serve --agent agent-coding-copilot-staging --socket ~/.gatehouse-spiffe/api.sock',
        'For go-spiffe, py-spiffe, Envoy …',
      ],
      [
        'spiffe serve --identity kubernetes --socket /run/gatehouse/api.sock',
        'Of the workload that a trust rule names.',
      ],
    ],
    load: async () => (await import('../commands/spiffe-serve.ts')).spiffeServe,
  });
  addVerb(spiffe, {
    usage: 'fetch',
    summary: 'write an X.509-SVID, its key and the trust domain’s bundle to files',
    details:
      'For what takes PEM files: svid.pem (with its chain), svid.key and bundle.pem, readable by this user only. They are good for an hour at most: fetch them again at half of it.',
    options: [option('--directory <directory>', 'where to; made if it is not there').makeOptionMandatory(), ...whose()],
    server: true,
    examples: [['spiffe fetch --agent agent-coding-copilot-staging --directory ~/svid', 'For curl, psql, nginx …']],
    load: async () => (await import('../commands/spiffe-fetch.ts')).spiffeFetch,
  });
}

const whose = () => [
  option('--agent <name>', 'registered name of the agent (or GATEHOUSE_AGENT)'),
  option(
    '--key-file <file>',
    'its key (or GATEHOUSE_KEY_FILE; default: agents/NAME.jwk in the user’s configuration directory)',
  ),
  option('--task <id>', 'SVIDs of this running task, and not of the agent itself'),
  option(
    '--identity <kind>',
    'SVIDs of a workload, by the tokens of its platform: github, gitlab, kubernetes, gcp, azure, file:PATH or env:NAME',
  ),
];
