import type { Requirement } from './requirement.ts';

/** Credentials that agents use themselves, past the gate. */
const source = 'docs/how-to/let-clients-fetch-their-own-credentials.md';
export const direct: Requirement[] = [
  {
    id: 'direct.off',
    promise: 'Nobody is handed a credential where the provider, the task’s template or the policies do not all say so',
    source,
  },
  {
    id: 'direct.recorded',
    promise:
      'A credential that is handed out is an action like any other, on record before it is given, and marked as ungated',
    source,
  },
  {
    id: 'direct.approved',
    promise:
      'A yes is to one provider, scope and life; the same credential is given again while it is good, and nothing else is',
    source,
  },
  {
    id: 'direct.narrow',
    promise: 'More than provider and template give is refused, and never cut down silently',
    source,
  },
  {
    id: 'direct.bound',
    promise:
      'A token without the key or certificate that it is bound to, and one for a single server, is handed nothing',
    source,
  },
  {
    id: 'direct.bad-input',
    promise: 'Whatever is sent to the door for credentials gets a precise answer, and leaves nothing',
    source,
  },
  { id: 'direct.idempotent', promise: 'Asked again with its idempotency key the same credential is given', source },
  {
    id: 'direct.limited',
    promise: 'A task, and an agent in an hour, is handed so many credentials and no more',
    source,
  },
  {
    id: 'direct.explained',
    promise:
      'A hand-out is explained, foreseen, tested and rehearsed like a call: why, by which rule, with what scope and life, and what remains of it',
    source,
  },
  {
    id: 'direct.budgeted',
    promise:
      'A budget counts hand-outs and the seconds that they work, by task, agent and time; given again it counts once',
    source: 'docs/how-to/limit-what-agents-spend.md',
  },
  {
    id: 'direct.listed',
    promise: 'What an agent was handed, and may ask to be handed, is listed with what it can act with',
    source: 'docs/how-to/see-what-an-agent-can-act-with.md',
  },
  {
    id: 'direct.ends',
    promise:
      'What was handed out ends with its task, a kill, its time or when it is revoked, with what was opened with it',
    source,
  },
  {
    id: 'clients.socket',
    promise: 'Clients of this machine are served on a socket of one user alone, and on loopback only with a token',
    source,
  },
  {
    id: 'clients.git',
    promise: 'git gets a credential for one host and repository, hears that a person is asked, and ends it with erase',
    source,
  },
  {
    id: 'clients.aws',
    promise: 'AWS’s SDKs get credentials by container endpoint and credential_process, and say that a person is asked',
    source,
  },
  {
    id: 'clients.aws-cli',
    promise: 'AWS’s command line calls AWS by both ways, and prints why it was refused and which approval it waits for',
    source,
  },
  {
    id: 'clients.stopped',
    promise:
      'A credential that was ended, or whose task or agent was stopped, is given to no client of a process that has kept it',
    source,
  },
  {
    id: 'clients.refused-once',
    promise: 'A client that repeats what was refused makes one attempt of it, and does not get its task suspended',
    source,
  },
  {
    id: 'clients.gcp',
    promise: 'Google’s libraries get an access token by an executable source, and say why not',
    source,
  },
  {
    id: 'clients.kubectl',
    promise: 'kubectl gets a credential for one API server, and says that a person is asked',
    source,
  },
  {
    id: 'clients.docker',
    promise: 'docker’s helper protocol is answered for the registries that were named alone',
    source,
  },
  {
    id: 'clients.vault',
    promise: 'A Vault client gets, looks up and ends database credentials, and hears errors in Vault’s form',
    source,
  },
  {
    id: 'clients.vault-paths',
    promise:
      'Of Vault’s API there is what the page names, and nothing else; who asks for help or a wrapped answer is handed no credential',
    source,
  },
  {
    id: 'clients.exec',
    promise:
      '`gatehouse exec` hands a command credentials in variables, takes them out of its output, and ends them with it',
    source,
  },
  { id: 'clients.ends', promise: 'With the process that serves clients its task and every credential ends', source },
];
