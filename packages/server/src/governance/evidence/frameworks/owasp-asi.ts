import type { Framework } from './framework.ts';

/** OWASP Top 10 for Agentic Applications, December 2025. */
export const owaspAsi: Framework = {
  id: 'owasp-asi',
  title: 'OWASP Top 10 for Agentic Applications (2026)',
  controls: [
    {
      id: 'ASI01',
      title: 'Agent goal hijack',
      checks: ['tools.labelled', 'approvals.given'],
      remark: 'What untrusted content chose waits for a person; the model’s goal itself is not seen here.',
    },
    {
      id: 'ASI02',
      title: 'Tool misuse and exploitation',
      checks: ['actions.decided', 'agents.least-privilege', 'agents.budgets'],
    },
    {
      id: 'ASI03',
      title: 'Identity and privilege abuse',
      checks: ['agents.own-identity', 'agents.owned', 'environments.separate', 'secrets.sealed'],
    },
    {
      id: 'ASI04',
      title: 'Agentic supply chain',
      checks: ['tools.definitions-reviewed'],
      remark: 'Of tools and their servers; models and libraries are not seen here.',
    },
    {
      id: 'ASI05',
      title: 'Unexpected code execution',
      checks: ['actions.decided'],
      remark: 'Of tools that run code; the agent’s own process is not seen here.',
    },
    {
      id: 'ASI06',
      title: 'Poisoning of memory and context',
      checks: ['tools.labelled'],
      remark: 'What is written to stores keeps its labels; the agent’s own memory is not seen here.',
    },
    {
      id: 'ASI07',
      title: 'Insecure communication between agents',
      checks: ['actions.attributed', 'transport.encrypted'],
    },
    { id: 'ASI08', title: 'Cascading failures', checks: ['agents.budgets', 'agents.watched', 'agents.kill-final'] },
    {
      id: 'ASI09',
      title: 'Exploitation of people’s trust in agents',
      checks: ['approvals.considered', 'approvals.signed', 'emergencies.reviewed'],
    },
    { id: 'ASI10', title: 'Rogue agents', checks: ['agents.kill-final', 'agents.watched', 'agents.owned'] },
  ],
};
