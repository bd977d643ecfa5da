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
];
