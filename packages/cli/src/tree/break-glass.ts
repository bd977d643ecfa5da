import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addBreakGlassVerbs(program: Command): void {
  const glass = addGroup(program, 'break-glass', 'in an emergency: ask, list, show, end');
  addVerb(glass, {
    usage: 'ask <task>',
    summary: 'ask two people to let a task use tools without an approval',
    details:
      'Opens nothing by itself: two other people sign with their passkeys in the browser. Tier 4 and what a policy forbids stay so. Every call that runs on it is marked in the record, and somebody reviews it afterwards.',
    options: [
      option('--tool <tool>', 'a tool, as server/tool; may be repeated').argParser(
        (each: string, all: string[] = []) => [...all, each],
      ),
      option('--incident <number>', 'the number of the incident'),
      option('--reason <text>', 'what has happened, and what it is for'),
      option('--minutes <number>', 'for how long, at most 60').default('15'),
      option('--no-browser', 'print the address only'),
    ],
    server: true,
    examples: [
      [
        'break-glass ask tsk_01jd3v7m2qk8 --tool shop/refund_order --incident INC-1042 --reason "double charges of this morning"',
        'The address for two people to sign.',
      ],
    ],
    load: async () => (await import('../commands/break-glass.ts')).askToBreakGlass,
  });
  addVerb(glass, {
    usage: 'list',
    summary: 'list emergencies, newest first, and what nobody has reviewed',
    server: true,
    isDefault: true,
    examples: [['break-glass', 'What is open now, and what waits for a review.']],
    load: async () => (await import('../commands/break-glass.ts')).listBreakGlass,
  });
  addVerb(glass, {
    usage: 'show <id>',
    summary: 'show one',
    server: true,
    examples: [['break-glass show brk_01jd3v7m2qk8', 'Who asked, who signed, until when.']],
    load: async () => (await import('../commands/break-glass.ts')).showBreakGlass,
  });
  addVerb(glass, {
    usage: 'end <id>',
    summary: 'end it now',
    server: true,
    examples: [['break-glass end brk_01jd3v7m2qk8', 'From the next call on, a person is asked again.']],
    load: async () => (await import('../commands/break-glass.ts')).endBreakGlass,
  });
}
