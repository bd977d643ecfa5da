import type { Command, Option } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

function filters(): Option[] {
  return [
    option('--agent <name>', 'of this agent'),
    option('--task <task>', 'of this task'),
    option('--tool <server/tool>', 'of this tool'),
    option('--operation <name>', 'this operation: tools/call, agent.kill …'),
    option('--server <name>', 'of any tool of this server'),
    option('--person <email>', 'asked for by, done for, or made by this person'),
    option('--resource <name>', 'on this resource'),
    option('--effect <effect>', 'decided so').choices(['allow', 'deny', 'needs-approval']),
    option('--code <code>', 'decided for this reason: policy.no-permit, tool.held …'),
    option('--result <result>', 'that ended so').choices(['success', 'failure', 'anomalous', 'unknown']),
    option('--approval <approval>', 'that needed this approval'),
    option('--ticket <id>', 'for this ticket or change request'),
    option('--environment <name>', 'in this environment'),
    option('--template <name>', 'of tasks under this template'),
    option('--kind <kind>', 'records of this kind').choices(['request', 'dispatch', 'outcome', 'change']),
    option('--credential <name>', 'with this lease or secret'),
    option('--label <labels>', 'with this label: untrusted, anomalous …; several with commas between'),
    option('--text <words>', 'with these words in the record’s own text; "refu*" is the beginning of one'),
    option('--reads', 'also who looked at the record'),
  ];
}

const times = (): Option[] => [
  option('--from <time>', 'not before (2026-01-31T12:00:00Z, or -7d)'),
  option('--to <time>', 'before'),
  option('--zone <zone>', 'time zone of --from and --to where they name none: Europe/Berlin'),
];

export function addLogVerbs(program: Command): void {
  const log = addGroup(program, 'log', 'the record: tail, search, show, trace, export, receipt, verify');
  addVerb(log, {
    usage: 'tail',
    summary: 'print the latest records, and with -f those that come',
    options: [
      option('-f, --follow', 'go on as records become durable, also over restarts of the server'),
      option('-n, --lines <number>', 'how many of the latest').default('20'),
      ...filters(),
    ],
    server: true,
    examples: [
      ['log tail -f', 'What is being done, as it happens.'],
      ['log tail -n 100 --agent agent-support-refunds-prod --json', 'One JSON object per line.'],
    ],
    load: async () => (await import('../commands/log-tail.ts')).tail,
  });
  addVerb(log, {
    usage: 'search',
    summary: 'find actions, newest first',
    options: [...filters(), ...times(), option('--limit <number>', 'how many at most').default('50')],
    server: true,
    examples: [
      ['log search --agent agent-support-refunds-prod --effect deny', 'What it was refused.'],
      ['log search --label anomalous --from -7d', 'What was unusual for its agent in a week, refused calls as well.'],
      [
        'log search --text "refund 1042"',
        'Where these words stand: in the tool, resource, intent, detail, changes or ticket.',
      ],
      ['log search --operation log.read', 'Who looked at the record.'],
      ['log search --result unknown', 'What was sent and never answered for.'],
    ],
    load: async () => (await import('../commands/log.ts')).search,
  });
  addVerb(log, {
    usage: 'show <action>',
    summary: 'show one action: who, why, what, decision, result',
    server: true,
    examples: [['log show act_01jd3v7m2qk8', 'With its arguments and every record of it.']],
    load: async () => (await import('../commands/log.ts')).show,
  });
  addVerb(log, {
    usage: 'trace <what>',
    summary: 'show one chain from who asked to the end, with what was handed on to other agents',
    details:
      'Of a task, or of the task of an action, an approval or a receipt file. Each step names the action that `log show` and `log receipt` take.',
    options: [option('--steps <number>', 'steps to show of each task; the latest').default('200')],
    server: true,
    examples: [
      [
        'log trace tsk_01jd3v7m2qk8',
        'Who asked, credentials, decisions, approvals, calls, results, teardown; handed-on tasks below.',
      ],
      ['log trace act_01jd3v7m2qk8', 'The whole task of this action, which is marked.'],
    ],
    load: async () => (await import('../commands/log-trace.ts')).trace,
  });
  addVerb(log, {
    usage: 'export',
    summary: 'write the records of a time with the proof that none is missing',
    details:
      'JSON lines: for each log its records in their order, and the proof behind them. With filters, records that do not fit are written as their hash alone, so that the places of the others are still proven.',
    options: [
      option('-o, --output <file>', 'where to').makeOptionMandatory(),
      option('--resume', 'go on with a file that was cut off'),
      option('--log <log>', 'this log only'),
      ...filters(),
      ...times(),
    ],
    server: true,
    examples: [
      [
        'log export --from 2026-03-01T00:00 --to 2026-04-01T00:00 --zone Europe/Berlin -o march.jsonl',
        'A month, for an auditor.',
      ],
      [
        'log export --from -7d --agent agent-support-refunds-prod -o week.jsonl',
        'Only what fits, with the places of all.',
      ],
    ],
    load: async () => (await import('../commands/log-export.ts')).exportRecords,
  });
  const reason = () => option('--reason <text>', 'why, for the record');
  const about = (): Option[] => [
    option('--agent <name>', 'of this agent'),
    option('--task <task>', 'of this task'),
    option('--action <action>', 'this action'),
    option('--person <email>', 'asked for by, done for, or in the chain of this person'),
    option('--ticket <id>', 'for this ticket or change request'),
    option('--from <time>', 'not before (2026-01-31T12:00:00Z)'),
    option('--to <time>', 'before'),
  ];
  const scope = () => [...about(), reason().makeOptionMandatory()];
  addVerb(log, {
    usage: 'holds',
    summary: 'list legal holds',
    server: true,
    examples: [['log holds', 'What may not be removed, and why.']],
    load: async () => (await import('../commands/keeping.ts')).holds,
  });
  addVerb(log, {
    usage: 'hold',
    summary: 'keep bodies from being removed, whatever their age and whoever asks',
    options: scope(),
    server: true,
    confirmed: true,
    examples: [['log hold --ticket CASE-7 --reason "litigation"', 'Until two people end it.']],
    load: async () => (await import('../commands/keeping.ts')).hold,
  });
  addVerb(log, {
    usage: 'end-hold <hold>',
    summary: 'ask for the end of a hold; somebody else has to agree',
    server: true,
    confirmed: true,
    examples: [['log end-hold hld_01jd3v7m2qk8', 'It holds until somebody else has agreed.']],
    load: async () => (await import('../commands/keeping.ts')).endHold,
  });
  addVerb(log, {
    usage: 'erase',
    summary: 'ask for bodies to be erased; somebody else has to agree',
    details:
      'Arguments go with the salt of their digest; the records stay as they were hashed. What a hold keeps stays.',
    options: [...about(), reason(), option('--dry-run', 'count what it would take, and ask for nothing')],
    server: true,
    confirmed: true,
    examples: [
      ['log erase --person zoe@example.test --dry-run', 'What it would take, and what receivers have already.'],
      [
        'log erase --person zoe@example.test --reason "erasure request 17"',
        'Everything that was asked for by or done for her.',
      ],
    ],
    load: async () => (await import('../commands/keeping.ts')).erase,
  });
  addVerb(log, {
    usage: 'agree <what>',
    summary: 'open the page where a second person agrees, with a passkey, to the end of a hold, an erasure or a class',
    details: 'Never agrees by itself: a shell can be shared with an agent, a passkey cannot. Exit code 3: it waits.',
    options: [option('--no-browser', 'print the address only')],
    server: true,
    examples: [
      ['log agree ers_01jd3v7m2qk8', 'Shows exactly what the passkey signs, and where.'],
      ['log agree short-lived', 'A class that keeps records for less than the minimum.'],
    ],
    load: async () => (await import('../commands/second-yes.ts')).agreeToKeeping,
  });
  addVerb(log, {
    usage: 'erasures',
    summary: 'list what was, or is to be, erased',
    server: true,
    examples: [['log erasures', 'With how much is gone, and what a hold has kept.']],
    load: async () => (await import('../commands/keeping.ts')).erasures,
  });
  addVerb(log, {
    usage: 'retention',
    summary: 'show what is kept for how long, what was removed, and what would go next',
    details: 'Classes are manifests of kind Retention. Of all that a record fits the one that keeps it longest counts.',
    server: true,
    examples: [['log retention', 'A dry run by counts; nothing goes by looking.']],
    load: async () => (await import('../commands/retention.ts')).retention,
  });
  addVerb(log, {
    usage: 'withdraw-retention <class>',
    summary: 'withdraw what was agreed to: a class keeps records for the minimum again',
    server: true,
    confirmed: true,
    examples: [['log withdraw-retention short-lived', 'At once, and by one person alone.']],
    load: async () => (await import('../commands/retention.ts')).withdrawRetention,
  });
  addVerb(log, {
    usage: 'receipt <action>',
    summary: 'write the proof that an action is in the log',
    options: [option('-o, --output <file>', 'where to (default: standard output)')],
    server: true,
    examples: [
      ['log receipt act_01jd3v7m2qk8 -o receipt.json', 'Anybody can check it offline, with `log verify --receipt`.'],
    ],
    load: async () => (await import('../commands/log.ts')).receipt,
  });
  addVerb(log, {
    usage: 'list',
    summary: 'list the logs: size, key, what is cosigned and published',
    server: true,
    examples: [['log list', 'The keys are what others verify with, and what witnesses need.']],
    load: async () => (await import('../commands/log-list.ts')).list,
  });
  addVerb(log, {
    usage: 'checkpoint',
    summary: 'keep what the logs commit to now',
    details:
      'Writes the newest signed checkpoint of each log to a file. Kept where the operator can’t reach it, it finds whatever is taken back or changed later.',
    options: [
      option('--log <log>', 'this log only'),
      option('-o, --output <directory>', 'where to (default: this directory)'),
    ],
    server: true,
    examples: [
      ['log checkpoint -o /media/audit', 'One file for each log; give them to `log verify --checkpoint` later.'],
    ],
    load: async () => (await import('../commands/log-list.ts')).checkpoint,
  });
  addVerb(log, {
    usage: 'verify [place]',
    summary: 'check the log, or receipts',
    details:
      'Reads the logs from the server, or from where they are published (a directory or an address), and recomputes their trees here. With --receipt nothing is asked of any server: the receipts are checked with the log’s public key, which should come from elsewhere than the receipt.',
    options: [
      option('--receipt <file...>', 'check these receipts, offline'),
      option('--key <key...>', 'the public keys of the logs (NAME+HASH+KEY), or files with them; needed for a place'),
      option('--log <log>', 'this log only'),
      option('--from <index>', 'only records from this one on, each proven to stand in the signed tree'),
      option('--to <index>', 'and before this one'),
      option(
        '--checkpoint <file...>',
        'also against these checkpoints, which were kept elsewhere: finds a cut, a rollback and an older backup put in place',
      ),
      option('--witness <key...>', 'count the cosignatures of these witnesses'),
      option('--quorum <number>', 'how many of them are needed').default('1'),
      option('--policy <file>', 'whose cosignatures are needed, and keys of logs (c2sp.org/tlog-policy)'),
    ],
    server: true,
    examples: [
      ['log verify', 'Exit code 1 when anything was edited, removed, inserted or moved.'],
      ['log verify --checkpoint march.checkpoint', 'Exit code 1 also when what that commits to is not all there.'],
      [
        'log verify https://logs.example/one --key log.vkey --policy witnesses.policy',
        'Published, and cosigned as the policy says.',
      ],
      ['log verify /srv/log --key log.vkey --from 120000 --to 130000', 'A part of what is in a directory.'],
      ['log verify march.jsonl --key log.vkey', 'An export, offline.'],
      ['log verify --receipt receipt.json --key log.vkey', 'Offline, with a key of your own.'],
    ],
    load: async () => (await import('../commands/log-verify.ts')).verify,
  });
}
