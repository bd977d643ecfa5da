import type { Requirement } from './requirement.ts';

/** Credentials of other systems. */
const source = 'docs/how-to/issue-credentials-of-other-systems.md';
export const systems: Requirement[] = [
  {
    id: 'lease.mariadb',
    promise: 'A MariaDB user of the task’s own has the tables that were asked for, and is gone with its connections',
    source,
  },
  {
    id: 'lease.redis',
    promise:
      'A Redis user of the task’s own has the keys and commands that were asked for, and is gone with its connections, also after a restart',
    source,
  },
  {
    id: 'lease.ssh',
    promise:
      'An SSH certificate of the task’s own names the users, addresses and command that were asked for, is of an authority of its provider alone, and ends with its lease',
    source,
  },
  {
    id: 'lease.kubernetes',
    promise:
      'A token of a Kubernetes service account is bound to an object of its lease, and no API server takes it once that is deleted',
    source,
  },
  {
    id: 'lease.svid',
    promise:
      'A task’s tools show a certificate of the task’s own that names task and provider, and that no door of Gatehouse takes',
    source,
  },
  {
    id: 'lease.signed-jwt',
    promise:
      'A task’s tools show a token that says which agent in which task, for one audience, and that no door of Gatehouse takes',
    source,
  },
];
