import type { Requirement } from './requirement.ts';

/** Keys, backups and restoring. */
export const keys: Requirement[] = [
  {
    id: 'backup.restore',
    promise:
      'A restored backup holds the records that were, verifies, and accepts nothing that was given out before: tokens, SVIDs, tasks, sessions, approvals, delegations, join tokens, directory tokens; agents and workloads are suspended and the killed stay dead',
    source: 'docs/how-to/back-up-and-restore.md',
  },
  {
    id: 'backup.no-secrets',
    promise:
      'Neither a key-encryption key nor a passphrase is in output, errors, server logs, a command line, or the environment of a child',
    source: 'SECURITY.md#law-3',
  },
  {
    id: 'backup.tools',
    promise:
      'A pg_dump that is missing or older than the server stops the backup with an error that names both versions and what to install',
    source: 'docs/how-to/back-up-and-restore.md',
  },
  {
    id: 'backup.refused',
    promise: 'A damaged or cut backup, a wrong key and a target that is not empty are refused with nothing written',
    source: 'docs/how-to/back-up-and-restore.md',
  },
  {
    id: 'credential.outside-token',
    promise: 'An agent works with the token of its platform alone: it has no key',
    source: 'docs/how-to/run-an-agent.md',
  },
  {
    id: 'keys.missing-key',
    promise:
      'Without the key-encryption key that the database is sealed with the server does not start, and changes nothing',
    source: 'SECURITY.md#law-10',
  },
  {
    id: 'keys.rotation',
    promise: 'Signing keys rotate by themselves and on demand, and no token is refused over it',
    source: 'SECURITY.md#law-2',
  },
  {
    id: 'keys.compromised',
    promise: 'A signing key that is rotated as compromised ends every token that it signed, at once',
    source: 'SECURITY.md#law-6',
  },
  {
    id: 'keys.rewrap',
    promise:
      'Changing the key-encryption key loses nothing, whenever it is killed, and is verified before the old key is retired',
    source: 'SECURITY.md#law-10',
  },
  {
    id: 'keys.sealed-columns',
    promise: 'Every column that holds sealed values is sealed anew with the others',
    source: 'SECURITY.md#law-10',
  },
];
