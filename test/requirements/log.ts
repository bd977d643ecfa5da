import type { Requirement } from './requirement.ts';

/** The log as others see it: witnesses, publication, verification (law 7 and the C2SP specifications that are claimed). */
export const log: Requirement[] = [
  {
    id: 'c2sp.witness',
    promise: 'A witness answers add-checkpoint as specified, and cosigns only what extends what it has cosigned',
    source: 'c2sp.org/tlog-witness',
  },
  {
    id: 'c2sp.cosignature',
    promise: 'Checkpoints carry the cosignatures of the witnesses that a policy names, verified before they are kept',
    source: 'c2sp.org/tlog-cosignature',
  },
  {
    id: 'law-7.witness',
    promise: 'A fork or a rollback of the log is never cosigned, through any crash of log or witness, and is shown',
    source: 'SECURITY.md#law-7',
  },
  {
    id: 'law-7.witness-away',
    promise: 'While witnesses are away calls go on, the wait is shown, and everything is cosigned once they are back',
    source: 'SECURITY.md#law-7',
  },
  {
    id: 'law-7.witness-shown',
    promise:
      'Nothing is removed by what another replica has recorded before that one shows it with the cosignatures it demands',
    source: 'Search and keep; law 7',
  },
  {
    id: 'law-7.witness-closed',
    promise: 'Where a deployment fails closed no call is sent while its record waits too long for cosignatures',
    source: 'SECURITY.md#law-7',
  },
  {
    id: 'law-7.rollback',
    promise: 'A database that was put back to an earlier state is found out by a witness',
    source: 'SECURITY.md#law-7',
  },
  {
    id: 'law-7.checkpoint',
    promise: 'No checkpoint is signed that does not extend the one before, whatever was changed in the database',
    source: 'SECURITY.md#law-7',
  },
  {
    id: 'law-7.matrix',
    promise:
      'Every way to change the past is found wherever it is tried: in the database, in published files, in a receipt',
    source: 'SECURITY.md#law-7',
  },
  {
    id: 'law-7.published',
    promise:
      'What is published is all that its checkpoint commits to, through crashes, and is not written over by another past',
    source: 'c2sp.org/tlog-tiles',
  },
  {
    id: 'law-7.who-reads',
    promise: 'Tiles and entries are for who may read records, and no shared cache keeps them, unless the log is public',
    source: 'SECURITY.md#law-7',
  },
  {
    id: 'law-7.verify-places',
    promise: 'A log is verified from a server, a directory or an address, whole or in part, with keys from elsewhere',
    source: 'SECURITY.md#law-7',
  },
  {
    id: 'law-7.one-file',
    promise:
      'One file without dependencies verifies receipts and logs, as a program and as a page that needs no server',
    source: 'SECURITY.md#law-7',
  },
];
