import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addPackVerbs(program: Command): void {
  const pack = addGroup(program, 'pack', 'ready-made templates and policies for kinds of agents: list, show, add');
  addVerb(pack, {
    usage: 'list',
    summary: 'list the packs that come with Gatehouse',
    isDefault: true,
    examples: [['pack list', 'What there is.']],
    load: async () => (await import('../commands/packs.ts')).listPacks,
  });
  addVerb(pack, {
    usage: 'show <name>',
    summary: 'show the templates and policies of a pack',
    examples: [['pack show default', 'Kinds of task that every agent has, and the four tiers with examples.']],
    load: async () => (await import('../commands/packs.ts')).showPack,
  });
  addVerb(pack, {
    usage: 'add <name>',
    summary: 'write a pack’s manifests into a directory, or apply them as they are',
    details:
      'Written, they are yours: change them, and apply the directory. Packs share no names and can be used together.',
    options: [
      option('-o, --output <directory>', 'write them there, into a directory named like the pack'),
      option('--force', 'replace files that are there'),
      option('--apply', 'apply them to the server instead'),
    ],
    server: true,
    confirmed: true,
    examples: [
      ['pack add support -o workspace', 'Into workspace/support; `apply -f workspace` applies it.'],
      ['pack add support --apply', 'Without files of your own.'],
    ],
    load: async () => (await import('../commands/packs.ts')).addPack,
  });
}
