import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';
import { taskOptions } from './tasks.ts';

const socket = () =>
  option(
    '--socket <path>',
    'where the process listens (or GATEHOUSE_CREDENTIALS_SOCKET; default: run/credentials.sock in the user’s configuration directory)',
  );

export function addCredentialVerbs(program: Command): void {
  const load = () => import('../commands/credentials.ts');
  const group = addGroup(program, 'credentials', 'credentials for clients that can’t go through the gate');
  addVerb(group, {
    usage: 'serve',
    summary: 'serve the clients of this machine with credentials of a task',
    details:
      'Runs until Ctrl-C; the task, and with it every credential, ends with it. Whoever can open the socket is the task: its directory must be this user’s alone. What may be handed out is for provider, template and policies to say.',
    options: [
      ...taskOptions(),
      socket(),
      option(
        '--http [port]',
        'also on loopback, with a token, for clients that know no Unix socket (AWS SDKs, Vault, Google)',
      ),
    ],
    examples: [
      [
        'credentials serve --agent agent-coding-prod --template fix --http',
        'For git, kubectl, docker, aws, Vault clients …',
      ],
    ],
    load: async () => (await load()).serveCredentials,
  });
  addVerb(group, {
    usage: 'install <client>',
    summary: 'write the helper that a client runs: git, docker, kubectl, aws or gcp',
    details:
      'A small shell script, which needs curl. The client’s own configuration is not touched: what it has to be told is printed.',
    options: [
      option('--provider <name>', 'whose credentials').makeOptionMandatory(),
      option('--directory <directory>', 'where to').makeOptionMandatory(),
      socket(),
      option('--host <host>', 'git, docker: who may be sent them; may be repeated').argParser(
        (value: string, before: string[] = []) => [...before, value],
      ),
      option(
        '--per-repository',
        'git: ask for the one repository that is meant, and not for all that the task may have',
      ),
      option('--cluster <url>', 'kubectl: the one API server that may be sent them'),
    ],
    examples: [
      [
        'credentials install git --provider github --host github.com --per-repository --directory ~/bin',
        'And what to tell git.',
      ],
      ['credentials install aws --provider aws-prod --directory ~/bin', 'For a profile’s credential_process.'],
    ],
    load: async () => (await load()).installHelper,
  });
}
