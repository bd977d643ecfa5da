import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addChannelVerbs(program: Command): void {
  const channels = addGroup(
    program,
    'channels',
    'where people are told of what waits for them: list, show, test, deliveries',
  );
  addVerb(channels, {
    usage: 'list',
    summary: 'list channels, with what waits in them',
    server: true,
    isDefault: true,
    examples: [['channels', 'Which there are, and whether messages arrive.']],
    load: async () => (await import('../commands/channels.ts')).listChannels,
  });
  addVerb(channels, {
    usage: 'show <channel>',
    summary: 'show one: whom it tells of what, and its last failure',
    server: true,
    examples: [['channels show refunds', 'As its manifest says, and how it does.']],
    load: async () => (await import('../commands/channels.ts')).showChannel,
  });
  addVerb(channels, {
    usage: 'test <channel>',
    summary: 'send a message through it that asks for nothing',
    details: 'Exit code 1 when it could not be delivered; what went wrong is printed.',
    server: true,
    examples: [['channels test refunds', 'Whether address, secret and network are right.']],
    load: async () => (await import('../commands/channels.ts')).testChannel,
  });
  addVerb(channels, {
    usage: 'deliveries <channel>',
    summary: 'list what was and is delivered through it, newest first',
    options: [option('--limit <number>', 'how many at most').default('50')],
    server: true,
    examples: [['channels deliveries refunds', 'What waits, was sent, and was given up and why.']],
    load: async () => (await import('../commands/channels.ts')).listDeliveries,
  });
}
