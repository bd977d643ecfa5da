import type { Requirement } from './requirement.ts';

/** What one person asks for and another agrees to. */
const source = 'docs/explanation/record.md';
export const secondYes: Requirement[] = [
  {
    id: 'second-yes.signed',
    promise:
      'Whoever agrees to what somebody else has asked for signs exactly that with a passkey; it counts once, within five minutes, and never of whoever asked',
    source,
  },
  { id: 'second-yes.asked', promise: 'Who writes to the database asks in nobody’s name', source },
  {
    id: 'second-yes.offline',
    promise: 'A second person’s yes verifies with the log alone, and not with anything in it changed',
    source,
  },
  {
    id: 'second-yes.enrolled-before',
    promise: 'A receipt of a second yes has the record that says whose passkey it was, also where that was noted later',
    source,
  },
  {
    id: 'second-yes.verify',
    promise:
      'Verifying a log or a receipt checks the second person’s yes in it, and that the log says whose passkey it was',
    source,
  },
];
