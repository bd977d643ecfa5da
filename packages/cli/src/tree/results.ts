import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addResultVerbs(program: Command): void {
  const results = addGroup(program, 'results', 'results that wait for a person: list, show, release, discard');
  addVerb(results, {
    usage: 'list',
    summary: 'list results that are held, newest first',
    options: [
      option('--agent <name>', 'of this agent only'),
      option('--limit <number>', 'how many at most').default('50'),
    ],
    server: true,
    isDefault: true,
    examples: [['results', 'How large each is, of which call, why it is held and until when.']],
    load: async () => (await import('../commands/results.ts')).listResults,
  });
  addVerb(results, {
    usage: 'show <result>',
    summary: 'show what is known of one; what it says is sealed',
    server: true,
    examples: [['results show hld_01jd3v7m2qk8', 'Size, labels, why it is held, and the approval that releases it.']],
    load: async () => (await import('../commands/results.ts')).showResult,
  });
  addVerb(results, {
    usage: 'release <result>',
    summary: 'open the page where a person releases it with a passkey',
    details:
      'Never releases by itself: a shell can be shared with an agent, a passkey cannot. Exit code 3 while it waits; with --wait 0 when it was released and 2 when it was not.',
    options: [option('--wait', 'until somebody has decided'), option('--no-browser', 'print the address only')],
    server: true,
    examples: [['results release hld_01jd3v7m2qk8 --wait', 'The agent then gets it once, with the same call.']],
    load: async () => (await import('../commands/results.ts')).releaseResult,
  });
  addVerb(results, {
    usage: 'discard <result>',
    summary: 'delete it; the call has run and stays run',
    options: [option('--reason <text>', 'why; the agent is told').default('')],
    server: true,
    examples: [['results discard hld_01jd3v7m2qk8 --reason "too many people in it"', 'Nobody can have it any more.']],
    load: async () => (await import('../commands/results.ts')).discardResult,
  });
}
