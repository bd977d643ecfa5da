import type { Framework } from './framework.ts';

/** ISO/IEC 27001:2022, controls of Annex A that access by agents touches. */
export const iso27001: Framework = {
  id: 'iso27001',
  title: 'ISO/IEC 27001:2022, Annex A',
  controls: [
    {
      id: 'A.5.3',
      title: 'Segregation of duties',
      checks: ['people.duties-separated', 'policies.second-person', 'approvals.by-others'],
    },
    { id: 'A.5.15', title: 'Access control', checks: ['actions.decided', 'environments.separate'] },
    { id: 'A.5.16', title: 'Identity management', checks: ['agents.owned', 'agents.own-identity', 'people.departed'] },
    {
      id: 'A.5.17',
      title: 'Authentication information',
      checks: ['people.passkeys', 'secrets.sealed', 'keys.rotated'],
    },
    {
      id: 'A.5.18',
      title: 'Access rights',
      checks: ['agents.least-privilege', 'agents.kill-final', 'people.departed'],
    },
    { id: 'A.5.24', title: 'Planning for incidents', notCovered: 'Plans and exercises are kept elsewhere.' },
    { id: 'A.5.28', title: 'Collection of evidence', checks: ['log.intact', 'approvals.signed'] },
    { id: 'A.5.33', title: 'Protection of records', checks: ['log.intact', 'log.kept', 'backups.made'] },
    { id: 'A.7.1', title: 'Physical perimeters', notCovered: 'Gatehouse has no part in access to buildings.' },
    {
      id: 'A.8.2',
      title: 'Privileged access',
      checks: ['approvals.given', 'people.duties-separated', 'emergencies.reviewed'],
    },
    { id: 'A.8.3', title: 'Restriction of access to information', checks: ['actions.decided', 'tools.labelled'] },
    { id: 'A.8.5', title: 'Secure authentication', checks: ['people.passkeys', 'people.sessions-end'] },
    { id: 'A.8.13', title: 'Backup', checks: ['backups.made'] },
    { id: 'A.8.15', title: 'Logging', checks: ['actions.attributed', 'actions.closed', 'log.intact', 'log.kept'] },
    { id: 'A.8.16', title: 'Monitoring', checks: ['agents.watched', 'sinks.arriving'] },
    {
      id: 'A.8.17',
      title: 'Synchronised clocks',
      notCovered: 'The clocks of hosts are set by their operating systems; Gatehouse does not measure them.',
    },
    { id: 'A.8.18', title: 'Privileged utilities', checks: ['actions.decided'], remark: 'Of tools that agents call.' },
    { id: 'A.8.24', title: 'Use of cryptography', checks: ['keys.rotated', 'secrets.sealed', 'transport.encrypted'] },
    {
      id: 'A.8.32',
      title: 'Change management',
      checks: ['policies.second-person', 'policies.recorded', 'tools.definitions-reviewed'],
    },
  ],
};
