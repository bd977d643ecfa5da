import type { Framework } from './framework.ts';

/** 45 CFR 164.312 (technical safeguards) and those of 164.308 and 164.316 that speak of access and its record. */
export const hipaa: Framework = {
  id: 'hipaa',
  title: 'HIPAA Security Rule, 45 CFR Part 164',
  controls: [
    {
      id: '164.308(a)(1)(ii)(D)',
      title: 'Review of activity in information systems',
      checks: ['log.intact', 'agents.watched', 'sinks.arriving'],
      remark: 'That somebody reviewed it is shown by your own schedule.',
    },
    {
      id: '164.308(a)(3)',
      title: 'Workforce: authorisation and termination',
      checks: ['people.departed', 'agents.owned'],
    },
    {
      id: '164.308(a)(4)',
      title: 'Management of access to information',
      checks: ['actions.decided', 'agents.least-privilege'],
    },
    { id: '164.308(a)(5)', title: 'Awareness and training', notCovered: 'Training is recorded elsewhere.' },
    { id: '164.312(a)(1)', title: 'Access control', checks: ['actions.decided', 'environments.separate'] },
    { id: '164.312(a)(2)(i)', title: 'Unique identification', checks: ['agents.own-identity', 'actions.attributed'] },
    {
      id: '164.312(a)(2)(ii)',
      title: 'Access in an emergency',
      checks: ['emergencies.reviewed'],
      remark:
        'Of calls by agents; emergency access of people to patient data is a procedure of the systems that hold it.',
    },
    { id: '164.312(a)(2)(iii)', title: 'Automatic logoff', checks: ['people.sessions-end'] },
    {
      id: '164.312(a)(2)(iv)',
      title: 'Encryption at rest',
      checks: ['secrets.sealed'],
      remark: 'Of secrets and keys. That the disk of the database is encrypted is shown by its host.',
    },
    { id: '164.312(b)', title: 'Audit controls', checks: ['actions.attributed', 'actions.closed', 'log.intact'] },
    { id: '164.312(c)(1)', title: 'Integrity', checks: ['log.intact', 'policies.second-person'] },
    {
      id: '164.312(c)(2)',
      title: 'Proof that information was not altered',
      checks: ['log.intact'],
      remark: 'Of the record; patient data itself is in other systems.',
    },
    {
      id: '164.312(d)',
      title: 'Authentication of persons and entities',
      checks: ['people.passkeys', 'agents.own-identity'],
    },
    { id: '164.312(e)(1)', title: 'Security of transmission', checks: ['transport.encrypted'] },
    {
      id: '164.316(b)(2)(i)',
      title: 'Documentation kept for six years',
      checks: ['log.kept'],
      remark: 'This row shows six months; keep exports of the log, or its retention at six years, for the rest.',
    },
  ],
};
