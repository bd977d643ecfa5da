import type { Command, Option } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

function filters(): Option[] {
  return [
    option('--agent <name>', 'of this agent'),
    option('--task <task>', 'of this task'),
    option('--tool <server/tool>', 'of this tool'),
    option('--operation <name>', 'this operation: tools/call, agent.kill …'),
  ];
}

export function addLogVerbs(program: Command): void {
  const log = addGroup(program, 'log', 'the record: tail, search, show, receipt, verify');
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
    options: [
      ...filters(),
      option('--person <email>', 'asked for by, or on behalf of, this person'),
      option('--resource <name>', 'on this resource'),
      option('--effect <effect>', 'decided so').choices(['allow', 'deny', 'needs-approval']),
      option('--result <result>', 'that ended so').choices(['success', 'failure', 'anomalous', 'unknown']),
      option('--approval <approval>', 'that needed this approval'),
      option('--ticket <id>', 'for this ticket'),
      option('--from <time>', 'not before (2026-01-31T12:00:00Z)'),
      option('--to <time>', 'before'),
      option('--limit <number>', 'how many at most').default('50'),
    ],
    server: true,
    examples: [
      ['log search --agent agent-support-refunds-prod --effect deny', 'What it was refused.'],
      ['log search --result anomalous', 'What was done and is unusual for its agent.'],
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
    usage: 'verify',
    summary: 'check the log, or receipts',
    details:
      'Without --receipt the server recomputes its logs from their records. With it nothing is asked of any server: the receipts are checked with the log’s public key, which should come from elsewhere than the receipt.',
    options: [
      option('--receipt <file...>', 'check these receipts, offline'),
      option('--key <key>', 'the log’s public key (NAME+HASH+KEY), or a file with it, to check receipts with'),
      option('--log <log>', 'this log only'),
      option(
        '--checkpoint <file...>',
        'also against these checkpoints, which were kept elsewhere: finds a cut, a rollback and an older backup put in place',
      ),
    ],
    server: true,
    examples: [
      ['log verify', 'Exit code 1 when anything was edited, removed, inserted or moved.'],
      ['log verify --checkpoint march.checkpoint', 'Exit code 1 also when what that commits to is not all there.'],
      ['log verify --receipt receipt.json --key log.vkey', 'Offline, with a key of your own.'],
    ],
    load: async () => (await import('../commands/log-verify.ts')).verify,
  });
}
