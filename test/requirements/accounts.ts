import type { Requirement } from './requirement.ts';

/** People's own accounts at other systems. */
const source = 'docs/how-to/let-agents-use-peoples-accounts.md';
export const accounts: Requirement[] = [
  {
    id: 'account.consent',
    promise: 'An agent gets a token of a person’s account only once they have let this agent use it, with these scopes',
    source,
  },
  {
    id: 'account.destination',
    promise:
      'A token of a person’s account is sent to the tool servers that they were shown as they consented, and to no other',
    source,
  },
  { id: 'account.own', promise: 'A task gets tokens of its own verified person, and never of another', source },
  {
    id: 'account.rotation',
    promise:
      'One renews an account at a time, across tasks and replicas, so that no rotated refresh token is used twice',
    source,
  },
  {
    id: 'account.unseen',
    promise: 'No token of an account is in an answer, a record, a lease or a file in clear',
    source,
  },
  {
    id: 'account.browser',
    promise: 'What a person began is finished in their own browser or not at all, and nobody begins it for another',
    source,
  },
  {
    id: 'account.mix-up',
    promise:
      'What one authorization server answers reaches no token endpoint of another, and connects nobody’s account to another person',
    source: 'RFC 9700 §4.4.2',
  },
  {
    id: 'account.former',
    promise:
      'What was granted at one place is revoked there, and sent to no other that the provider’s manifest names later',
    source,
  },
  {
    id: 'account.replaced',
    promise:
      'What a person granted before they connected the same again is revoked, where that leaves the new one alone',
    source,
  },
  {
    id: 'account.disconnect',
    promise: 'A disconnected account gives nothing any more, and is revoked at the other system where that can',
    source,
  },
  {
    id: 'account.late',
    promise:
      'An account that is disconnected while it is renewed is revoked with what comes of that, and until that is done',
    source,
  },
  {
    id: 'account.broken',
    promise: 'An account that the other system renews no more says so, and its person connects it again',
    source,
  },
  {
    id: 'account.systems',
    promise: 'Slack, Google, Microsoft, Salesforce and Jira are connected, used and disconnected in their own ways',
    source,
  },
  {
    id: 'account.offboarding',
    promise: 'When a person leaves their accounts are revoked at the other systems',
    source,
  },
  {
    id: 'console.accounts',
    promise: 'In the console a person lets an agent use their account, sees who uses it, and takes it back',
    source,
  },
  {
    id: 'account.asserted',
    promise:
      'Where an authorization server takes Gatehouse’s word (ID-JAG, token exchange) it hears of a task’s verified person only, and no agent sees what comes of it',
    source,
  },
];
