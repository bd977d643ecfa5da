import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addSinkVerbs(program: Command): void {
  const sinks = addGroup(program, 'sinks', 'receivers of the record: list, show, test, pause, resume, let-go, replay');
  const load = async () => import('../commands/sinks.ts');
  addVerb(sinks, {
    usage: 'list',
    summary: 'list sinks, with how far each has come',
    server: true,
    isDefault: true,
    examples: [['sinks', 'Which of them take records, how many wait, and how old the oldest is.']],
    load: async () => (await load()).listSinks,
  });
  addVerb(sinks, {
    usage: 'show <sink>',
    summary: 'show its positions, why it fails, and what it refused for good',
    server: true,
    examples: [['sinks show siem', 'Also which replica delivers now, and when it is tried again.']],
    load: async () => (await load()).showSink,
  });
  addVerb(sinks, {
    usage: 'test <sink>',
    summary: 'send it a made-up event now; exit code 2 when it does not take it',
    server: true,
    examples: [['sinks test siem', 'What it said, and the id to look for there.']],
    load: async () => (await load()).testSink,
  });
  addVerb(sinks, {
    usage: 'pause <sink>',
    summary: 'send it nothing until it is resumed; nothing is lost',
    server: true,
    confirmed: true,
    examples: [['sinks pause siem', 'While it is moved. What waits is counted, and warned of.']],
    load: async () => (await load()).pauseSink,
  });
  addVerb(sinks, {
    usage: 'resume <sink>',
    summary: 'go on where it was paused',
    server: true,
    examples: [['sinks resume siem', 'The oldest record first.']],
    load: async () => (await load()).resumeSink,
  });
  addVerb(sinks, {
    usage: 'let-go <sink>',
    summary: 'let records go by their age that it has not taken until now',
    details:
      'Retention waits for every sink that is declared. This is the word of a person that it need not, for what was recorded so far.',
    server: true,
    confirmed: true,
    examples: [['sinks let-go siem', 'It is down for good, and its records have to go.']],
    load: async () => (await load()).letSinkGo,
  });
  addVerb(sinks, {
    usage: 'replay <sink>',
    summary: 'send records again, from a time or a place of a log',
    options: [
      option('--from <place>', 'a time (RFC 3339), or LOG/SEQUENCE as ids of events are').makeOptionMandatory(),
    ],
    server: true,
    confirmed: true,
    examples: [
      [
        'sinks replay siem --from 2026-11-27T00:00:00Z',
        'Events have the ids that they had, so that a receiver knows them.',
      ],
    ],
    load: async () => (await load()).replaySink,
  });
}
