import type { Framework } from './framework.ts';

/** Regulation (EU) 2024/1689, what it asks of those who provide or deploy high-risk systems about logs and oversight. */
export const euAiAct: Framework = {
  id: 'eu-ai-act',
  title: 'EU AI Act, Regulation (EU) 2024/1689',
  controls: [
    {
      id: 'Art. 12(1)',
      title: 'Events are recorded automatically over the system’s life',
      checks: ['actions.attributed', 'actions.closed', 'log.intact'],
    },
    {
      id: 'Art. 12(2)(a)',
      title: 'Events that may be a risk or a substantial modification can be found',
      checks: ['agents.watched', 'policies.recorded', 'tools.definitions-reviewed'],
    },
    {
      id: 'Art. 12(2)(b)',
      title: 'Monitoring after placing on the market',
      checks: ['agents.watched'],
      remark: 'The plan under Article 72 is the provider’s.',
    },
    {
      id: 'Art. 12(2)(c)',
      title: 'Monitoring of operation by deployers',
      checks: ['actions.attributed', 'agents.watched'],
    },
    {
      id: 'Art. 12(3)',
      title: 'Minimum log of biometric identification',
      notCovered: 'Gatehouse identifies nobody by biometrics.',
    },
    { id: 'Art. 13', title: 'Instructions for use', notCovered: 'Instructions are documents of the provider.' },
    {
      id: 'Art. 14(4)(a)',
      title: 'People can understand and monitor the system',
      checks: ['actions.attributed', 'agents.watched'],
    },
    { id: 'Art. 14(4)(b)', title: 'People stay aware of automation bias', checks: ['approvals.considered'] },
    {
      id: 'Art. 14(4)(c)',
      title: 'People can interpret what the system wants to do',
      checks: ['approvals.signed'],
      remark: 'An approver sees and signs the exact action.',
    },
    { id: 'Art. 14(4)(d)', title: 'People can decide against it', checks: ['approvals.given', 'approvals.by-others'] },
    { id: 'Art. 14(4)(e)', title: 'People can stop it', checks: ['agents.kill-final'] },
    {
      id: 'Art. 18',
      title: 'Documents kept for ten years',
      notCovered: 'The provider’s documents are kept elsewhere.',
    },
    { id: 'Art. 19(1)', title: 'Providers keep logs for six months at least', checks: ['log.kept', 'log.intact'] },
    {
      id: 'Art. 26(1)',
      title: 'Use according to instructions',
      notCovered: 'Whether a use fits the provider’s instructions is for people to judge.',
    },
    { id: 'Art. 26(2)', title: 'Oversight is assigned to people', checks: ['agents.owned', 'people.passkeys'] },
    { id: 'Art. 26(5)', title: 'Deployers monitor operation', checks: ['agents.watched', 'actions.closed'] },
    { id: 'Art. 26(6)', title: 'Deployers keep logs for six months at least', checks: ['log.kept'] },
    {
      id: 'Art. 73',
      title: 'Serious incidents are reported',
      notCovered: 'Reports to authorities are made elsewhere; the record they rest on can be exported.',
    },
  ],
};
