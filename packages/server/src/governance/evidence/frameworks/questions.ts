import type { Framework } from './framework.ts';

/** What every buyer's security review asks of whoever runs agents. */
export const questions: Framework = {
  id: 'questions',
  title: 'Five questions of a security review',
  controls: [
    {
      id: '1',
      title: 'How are agents’ actions restricted by environment?',
      checks: ['environments.separate', 'actions.decided', 'tools.definitions-reviewed'],
    },
    {
      id: '2',
      title: 'Can you prove least privilege for these agents?',
      checks: ['agents.least-privilege', 'agents.owned', 'agents.own-identity', 'agents.budgets'],
    },
    {
      id: '3',
      title: 'How are secrets stored, rotated and revoked?',
      checks: ['secrets.sealed', 'keys.rotated', 'agents.kill-final', 'people.departed'],
    },
    {
      id: '4',
      title: 'What is the approval workflow for high-risk actions?',
      checks: [
        'approvals.given',
        'approvals.signed',
        'approvals.by-others',
        'approvals.considered',
        'emergencies.reviewed',
      ],
    },
    {
      id: '5',
      title: 'Show the audit trail.',
      checks: ['log.intact', 'actions.attributed', 'actions.closed', 'log.kept'],
    },
  ],
};
