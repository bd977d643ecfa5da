import type { Framework } from './framework.ts';

/** AICPA Trust Services Criteria 2017 (points of focus of 2022), common criteria that access by agents touches. */
export const soc2: Framework = {
  id: 'soc2',
  title: 'SOC 2: Trust Services Criteria, common criteria',
  controls: [
    {
      id: 'CC4.1',
      title: 'Ongoing evaluation of controls',
      notCovered: 'Reviews by people on a schedule are kept elsewhere.',
    },
    {
      id: 'CC5.2',
      title: 'Technology controls over who may change what',
      checks: ['policies.second-person', 'people.duties-separated'],
    },
    {
      id: 'CC6.1',
      title: 'Logical access: identities, keys, restrictions',
      checks: ['agents.own-identity', 'people.passkeys', 'actions.decided', 'secrets.sealed', 'keys.rotated'],
    },
    {
      id: 'CC6.2',
      title: 'Access is registered and authorised before it is given, and taken away',
      checks: ['agents.owned', 'people.departed', 'agents.kill-final'],
    },
    {
      id: 'CC6.3',
      title: 'Roles, least privilege, separation of duties',
      checks: ['agents.least-privilege', 'people.duties-separated', 'approvals.by-others'],
    },
    { id: 'CC6.4', title: 'Physical access', notCovered: 'Gatehouse has no part in access to buildings and machines.' },
    {
      id: 'CC6.6',
      title: 'Protection against what comes from outside',
      checks: ['tools.definitions-reviewed', 'transport.encrypted', 'actions.decided'],
    },
    {
      id: 'CC6.7',
      title: 'Restricted movement of information',
      checks: ['environments.separate', 'tools.labelled', 'transport.encrypted'],
    },
    {
      id: 'CC6.8',
      title: 'Unauthorised or changed software is kept out',
      checks: ['tools.definitions-reviewed'],
      remark: 'Of tools that agents call; software on hosts is not seen here.',
    },
    {
      id: 'CC7.1',
      title: 'Changes of configuration are detected',
      checks: ['policies.recorded', 'tools.definitions-reviewed'],
    },
    { id: 'CC7.2', title: 'Anomalies are monitored', checks: ['agents.watched', 'agents.budgets', 'sinks.arriving'] },
    {
      id: 'CC7.3',
      title: 'Security events are evaluated',
      checks: ['actions.closed', 'log.intact'],
      remark: 'Who looked at them is shown by your own tickets.',
    },
    {
      id: 'CC7.4',
      title: 'Response to incidents',
      checks: ['agents.kill-final', 'emergencies.reviewed'],
      remark: 'Of the switch; the plan and its exercises are kept elsewhere.',
    },
    { id: 'CC7.5', title: 'Recovery', checks: ['backups.made'] },
    {
      id: 'CC8.1',
      title: 'Changes are authorised, tested and approved',
      checks: ['policies.second-person', 'policies.recorded'],
    },
    {
      id: 'A1.2',
      title: 'Availability of infrastructure',
      notCovered: 'Capacity and uptime are measured by your monitoring.',
    },
  ],
};
