import type { Command } from 'commander';
import { addVerb, option } from '../verb.ts';

export function addBackupVerbs(program: Command): void {
  addVerb(program, {
    usage: 'backup <file>',
    summary: 'copy the whole workspace into one file, while servers run',
    details:
      'Run it on the host of the server, as its user. The server records it. Whoever has the file has the records, bodies and policies; secrets and private keys in it are sealed with the key-encryption key, which is not in it. Exit code 0 when the file is whole and on disk.',
    options: [
      option(
        '--database <url>',
        'of the server, when it is PostgreSQL (or GATEHOUSE_DATABASE); needs pg_dump on the PATH',
      ),
      option('--with-keys', 'put the key-encryption keys of the data directory in, encrypted under a passphrase'),
      option('--passphrase-file <file>', 'first line: the passphrase, 12 characters or more; - reads standard input'),
      option('--offline', 'ask no server: for one that does not run. Not recorded'),
    ],
    server: true,
    examples: [
      ['backup gatehouse.backup', 'Keep it and its digest on another host, and the key-encryption key on a third.'],
      ['backup gatehouse.backup --with-keys --passphrase-file -', 'With the key; the passphrase comes from a pipe.'],
      ['backup gatehouse.backup --database postgres://gatehouse@db/gatehouse', 'Of PostgreSQL.'],
    ],
    load: async () => (await import('../commands/backup.ts')).backup,
  });
  addVerb(program, {
    usage: 'restore <file>',
    summary: 'make a new workspace out of a backup',
    details:
      'Into a new data directory or an empty database: all of it or nothing. Every byte of the file is checked first, and the key-encryption key has to be there. What was given out before (tokens, sessions, codes, consents, approvals) is accepted no more, running tasks are ended, and every active agent is suspended: the backup cannot know which were killed after it.',
    options: [
      option('--data-dir <directory>', 'where to; must not be there, or be empty'),
      option('--database <url>', 'an empty PostgreSQL database (or GATEHOUSE_DATABASE); needs pg_restore on the PATH'),
      option('--key-encryption <source...>', 'as of gatehouse start (or GATEHOUSE_KEY_ENCRYPTION)'),
      option('--passphrase-file <file>', 'for a backup with keys; - reads standard input'),
      option('--digest <digest>', 'what backup printed: refuses a file that somebody has written anew'),
      option(
        '--activate <reason>',
        'leave active agents active, also those that were killed after the backup; recorded with this reason',
      ),
    ],
    examples: [
      [
        'restore gatehouse.backup --data-dir /var/lib/gatehouse --key-encryption file:/secure/key-encryption.key',
        'Then start with the same source.',
      ],
      ['restore gatehouse.backup --data-dir restored --passphrase-file -', 'A backup that was made --with-keys.'],
    ],
    load: async () => (await import('../commands/backup.ts')).restore,
  });
}
