import type { Requirement } from './requirement.ts';

/** Who may say yes: rules, deputies, escalation. */
export const whoDecides: Requirement[] = [
  {
    id: 'law-4.rule',
    promise: 'No set of yeses that does not meet the rule named by the policy approves a call',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'law-4.rule-bound',
    promise: 'A rule is part of what is approved: changed in any way, the call waits again',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'law-4.rule-once',
    promise: 'Yeses on two replicas at the same time lead to one approval, and none of them is lost',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'law-4.excluded',
    promise: 'Whoever asked, and whoever a rule excludes, counts nowhere: not by a group, an escalation or a deputy',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'law-4.standing',
    promise: 'A yes of somebody who could not give it any more when the call runs is none',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'law-4.escalation',
    promise: 'What waits too long is escalated once, on whichever replica, and recorded before anybody more may answer',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'law-4.votes-intact',
    promise: 'A yes that was made up, moved to somebody else or lost in the database approves nothing',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'law-4.deputy-confirmed',
    promise:
      'Nobody becomes another’s deputy by the word of one admin: that person or a second admin signs it, and the yes is none of a passkey that the first could hold',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'law-4.deputy-guarded',
    promise:
      'A dispatch, also on a grant, is refused once whoever was spoken for, or who is on call, has changed since it was decided',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'channel.second-person',
    promise: 'A yes in a channel does not count from somebody who could hold the passkey of whoever asked',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'law-4.enrolled-keys',
    promise:
      'A yes counts only by a key that was enrolled for its person, whoever wrote and sealed it, and not less once that passkey is gone',
    source: 'law 4; docs/explanation/approvals.md',
  },
  {
    id: 'law-4.rows-sealed',
    promise:
      'Approvals, answers, deputies, grants, emergencies and endorsements that were written or changed in the database let nothing run',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'console.deputies',
    promise:
      'A proposed deputy is confirmed in the console by the person whose place it is, with their passkey, and not by who proposed it',
    source: 'docs/how-to/decide-who-approves.md',
  },
  {
    id: 'console.who-decides',
    promise:
      'The page of an approval shows whose yes is there and whose is missing; a person names their deputy with a passkey',
    source: 'docs/how-to/decide-who-approves.md',
  },
];
