import type { Command, Option } from 'commander';
import { addGroup, addVerb, authoritiesOption, option } from '../verb.ts';

const repeated = (value: string, before: string[] = []) => [...before, value];

/** What a task is started with; all of it can come from the environment, because MCP clients configure bridges that way. */
/** Of the task that something is done in. */
export function taskOptions(): Option[] {
  return [
    option('--agent <name>', 'the agent (or GATEHOUSE_AGENT)'),
    option('--key-file <file>', 'its key (or GATEHOUSE_KEY_FILE; default: where `agent enroll` puts it)'),
    option('--template <name>', 'what kind of task (or GATEHOUSE_TEMPLATE)'),
    option(
      '--param <name=value>',
      'a parameter of the template; may be repeated (or GATEHOUSE_PARAMS as JSON)',
    ).argParser(repeated),
    option('--intent <text>', 'what it is for, in words (or GATEHOUSE_INTENT)'),
    option(
      '--on-behalf-of <person>',
      'for whom, as the agent says: a note in the record. To act for somebody give --delegation (or GATEHOUSE_ON_BEHALF_OF)',
    ),
    option('--requested-by <who>', 'the person or event that asked for it (or GATEHOUSE_REQUESTED_BY)'),
    option('--ticket <id>', 'its ticket (or GATEHOUSE_TICKET)'),
    option('--change-request <id>', 'its change request (or GATEHOUSE_CHANGE_REQUEST)'),
    option('--model <provider/name>', 'the model that will act (or GATEHOUSE_MODEL)'),
    option('--delegation <id>', 'the standing delegation under which it acts for a person (or GATEHOUSE_DELEGATION)'),
    option(
      '--identity <kind>',
      'how the agent proves itself: key, keyring, github, gitlab, kubernetes, gcp, azure, file:PATH, env:NAME (or GATEHOUSE_IDENTITY; default key)',
    ),
    option('--cert <file>', 'its X.509-SVID with chain (PEM), used instead of its key (or GATEHOUSE_CERT)'),
    option('--key <file>', 'key (PEM) of that certificate (or GATEHOUSE_CERT_KEY)'),
    authoritiesOption(),
    option('--bearer-only', 'for an agent that is registered so: its tokens are bound to no key'),
    option('--url <url>', 'address of the server (or GATEHOUSE_URL; default http://localhost:4283)'),
  ];
}

export function addTaskVerbs(program: Command): void {
  addVerb(program, {
    usage: 'mcp',
    summary: 'connect a local MCP client to the gate, over stdio',
    details:
      'The command for a client’s configuration: it holds the agent’s key, starts the task, keeps its token fresh and passes messages on unchanged. It ends when its standard input does.',
    options: [
      ...taskOptions(),
      option('--server <name>', 'one tool server only, under its own tool names (or GATEHOUSE_SERVER)'),
    ],
    examples: [
      ['mcp --agent agent-coding-copilot-staging --template code-review', 'Every server that the template allows.'],
      [
        'mcp --agent agent-support-refunds-prod --template refund-order --param order=1042 --param customer=customer-z --ticket SUP-301',
        'With the template’s parameters.',
      ],
    ],
    load: async () => (await import('../commands/mcp.ts')).mcp,
  });
  addVerb(program, {
    usage: 'exec [command...]',
    summary: 'run a command with a task of its own',
    details:
      'The command finds the MCP door at GATEHOUSE_MCP_URL: a loopback address with a secret in it, which adds the token and its proof. The token itself is given to nobody, nor are the variables that the agent proves itself with (--pass-env gives one all the same). Secrets are taken out of what the command prints; signals are passed on; the exit code is the command’s; the task ends with it.',
    options: [
      ...taskOptions(),
      option('--no-redact', 'give the command the terminal itself, and look at nothing that it prints'),
      option(
        '--pass-env <name>',
        'a variable that the command needs although the agent proves itself with it; may be repeated',
      ).argParser(repeated),
      option(
        '--provider <name>',
        'hand the command a credential of this provider, which ends with it; may be repeated',
      ).argParser(repeated),
      option(
        '--env <variable>',
        'where the credential goes: PGPASSWORD={password}, or {PROVIDER.password} of several; may be repeated',
      ).argParser(repeated),
    ],
    examples: [
      [
        'exec --agent agent-ci-prod --template deploy --intent "release 1.4" -- ./deploy.sh',
        'A task that ends with it.',
      ],
      [
        'exec --agent agent-ci-prod --template deploy --identity github -- python agent.py',
        'In GitHub Actions, without a key.',
      ],
      [
        'exec --agent agent-report-prod --template order-report --provider orders --env PGUSER={username} --env PGPASSWORD={password} -- psql -h db.internal shop',
        'A database role for one command.',
      ],
    ],
    load: async () => (await import('../commands/exec.ts')).exec,
  });
  addVerb(program, {
    usage: 'token',
    summary: 'print the token of a task, which is started if it does not run yet',
    details:
      'For clients that speak HTTP themselves. The same task request gives the same task and token to every process of this user, until it is replaced; one that the server has not vouched for within 10 seconds is asked about first. It is bound to a key that is kept beside it, to the one in --proof-key-file, or to the certificate in --cert, unless the agent is bearer-only.',
    options: [
      ...taskOptions(),
      option('--proof <request>', 'print the headers of one request, "METHOD URL", with its DPoP proof'),
      option('--renew', 'the server has refused the last one: get another'),
      option('--offline', 'print the one in the cache without asking whether it still counts'),
      option('--proof-key-file <file>', 'key (private JWK) that the token is bound to; made when it is not there'),
      option('--no-cache', 'share nothing with other processes; a new task each time'),
    ],
    examples: [
      ['token --agent agent-ci-prod --template deploy --intent "release 1.4" --bearer-only', 'A token for curl.'],
      [
        'token --agent agent-ci-prod --template deploy --proof "POST https://gatehouse.example/mcp" | curl -H @- …',
        'Its headers, with a proof for one request, and not on a command line.',
      ],
      [
        'token --agent agent-ci-prod --template deploy --cert svid.pem --key svid.key --cacert bundle.pem',
        'A token for curl --cert svid.pem --key svid.key.',
      ],
    ],
    load: async () => (await import('../commands/token.ts')).token,
  });
  const tasks = addGroup(program, 'tasks', 'tasks: list, flow, suspend, resume, end');
  addVerb(tasks, {
    usage: 'list',
    summary: 'list tasks, newest first',
    options: [
      option('--agent <name>', 'of this agent only'),
      option('--state <state>', 'in this state only').choices(['active', 'ended', 'killed']),
      option('--limit <number>', 'how many at most').default('50'),
    ],
    server: true,
    isDefault: true,
    examples: [['tasks --state active', 'What is running now.']],
    load: async () => (await import('../commands/tasks.ts')).listTasks,
  });
  addVerb(tasks, {
    usage: 'flow <task>',
    summary: 'show what a task has seen, and why calls of it were held',
    details:
      'Labels with the result that brought each first, values that people endorsed for the task, and the calls that waited for a person because of where their arguments came from.',
    server: true,
    examples: [['tasks flow tsk_01jd3v7m2qk8', 'Why did it wait?']],
    load: async () => (await import('../commands/task-flow.ts')).showTaskFlow,
  });
  addVerb(tasks, {
    usage: 'suspend <task>',
    summary: 'stop a task until a person lets it go on',
    options: [option('--reason <text>', 'why; it is recorded, and the agent is told').makeOptionMandatory()],
    server: true,
    examples: [['tasks suspend tsk_01jd3v7m2qk8 --reason "looks odd"', 'Its calls are refused until it is resumed.']],
    load: async () => (await import('../commands/tasks.ts')).suspendTask,
  });
  addVerb(tasks, {
    usage: 'resume <task>',
    summary: 'let a suspended task go on',
    server: true,
    examples: [['tasks resume tsk_01jd3v7m2qk8', 'After somebody has looked at what it did.']],
    load: async () => (await import('../commands/tasks.ts')).resumeTask,
  });
  addVerb(tasks, {
    usage: 'end <task>',
    summary: 'end a task; its agent may start others',
    server: true,
    examples: [['tasks end tsk_01jd3v7m2qk8', 'Its calls stop and its tokens are refused.']],
    load: async () => (await import('../commands/tasks.ts')).endTask,
  });
}
