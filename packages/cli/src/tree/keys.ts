import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addKeyVerbs(program: Command): void {
  const keys = addGroup(program, 'keys', 'signing keys and the key that seals secrets: list, rotate, rewrap');
  addVerb(keys, {
    usage: 'list',
    summary: 'list every signing key, when it rotates, and the key-encryption keys',
    isDefault: true,
    server: true,
    examples: [['keys list', 'What signs, what only verifies, and when the next comes.']],
    load: async () => (await import('../commands/keys.ts')).list,
  });
  addVerb(keys, {
    usage: 'rotate <purpose>',
    summary: 'make the next signing key of a purpose',
    details:
      'The next key is published before it signs, and the old one verifies until what it signed has expired, so nothing breaks. With --compromised every key of the purpose is destroyed at once, and everything that they signed is refused.',
    options: [option('--compromised', 'somebody else may have the key: end everything that it signed')],
    server: true,
    examples: [
      ['keys rotate access-token', 'Nobody notices.'],
      ['keys rotate access-token --compromised', 'Every agent must get a new token.'],
    ],
    load: async () => (await import('../commands/keys.ts')).rotate,
  });
  addVerb(keys, {
    usage: 'rewrap',
    summary: 'seal every stored secret anew with another key-encryption key',
    details:
      'The server goes on meanwhile. Start every replica with both keys first (--key-encryption NEW OLD); the old one is needed until this has ended well. Run again, it goes on where it was cut off.',
    options: [
      option('--to <key>', 'id or source of the new key (default: the first that the server was started with)'),
    ],
    server: true,
    confirmed: true,
    examples: [
      ['keys rewrap', 'With the first key that the server was started with.'],
      ['keys rewrap --to aws-kms:arn:aws:kms:eu-central-1:111122223333:alias/gatehouse', 'With this one.'],
    ],
    load: async () => (await import('../commands/keys.ts')).rewrap,
  });
}
