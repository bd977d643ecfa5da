import type { Requirement } from './requirement.ts';

/** What the console shows of policy. */
export const console: Requirement[] = [
  {
    id: 'console.standing-grants',
    promise:
      'An approver grants more calls with bounds that come from the call, sees on the task what is used, revokes it there, and denies and suspends in one move',
    source: 'docs/how-to/allow-similar-calls.md',
  },
  {
    id: 'console.why-held',
    promise:
      'A task’s page says why its calls were held: what it has seen, which result brought each label, and what people endorsed for it',
    source: 'docs/explanation/information-flow.md',
  },
  {
    id: 'console.budgets',
    promise: 'A budget’s page says how much of each limit is used, for whom, and when it starts again, in its own zone',
    source: 'docs/how-to/limit-what-agents-spend.md',
  },
  {
    id: 'console.task-suspended',
    promise: 'A person suspends a task with a reason in the console, sees that it is, and lets it go on',
    source: 'docs/how-to/stop-an-agent.md',
  },
  {
    id: 'console.playground',
    promise:
      'The console decides a call that nobody makes, explains it condition by condition, and nothing is sent or recorded',
    source: 'docs/how-to/write-policies.md',
  },
  {
    id: 'console.policy-checked',
    promise:
      'A policy file that is only thought of is checked beside those in force, by line and column, and nothing is changed',
    source: 'docs/how-to/rehearse-a-policy-change.md',
  },
  {
    id: 'console.policy-proposed',
    promise:
      'A policy is edited in the console, checked where it is wrong, rehearsed, and what relaxes is in force only after another person’s passkey',
    source: 'docs/how-to/rehearse-a-policy-change.md',
  },
  {
    id: 'console.policy-file',
    promise:
      'A policy file is made and deleted in the console; to delete what forbids, and to go back past it, waits for another person, who can reject it with a reason',
    source: 'docs/how-to/rehearse-a-policy-change.md',
  },
  {
    id: 'console.observed',
    promise: 'What policies in observe mode would have changed is listed in the console, with the actions',
    source: 'docs/how-to/rehearse-a-policy-change.md',
  },
  {
    id: 'console.two-yeses',
    promise:
      'What the host’s token proposes shows the first of the two yeses that it takes, and is in force after the second',
    source: 'docs/how-to/rehearse-a-policy-change.md',
  },
  {
    id: 'console.installable',
    promise:
      'The console can be installed, keeps none but its own files, believes none that was changed, and says that it is offline',
    source: 'docs/how-to/be-notified-in-the-browser.md',
  },
  {
    id: 'console.notified',
    promise: 'A notification leads to the page of what waits, and decides nothing',
    source: 'docs/how-to/be-notified-in-the-browser.md',
  },
  {
    id: 'console.keeping',
    promise: 'Holds and erasures are asked for in the console by one person, and settled there by another',
    source: 'docs/how-to/keep-and-erase.md',
  },
  {
    id: 'console.leases',
    promise:
      'The console lists credentials that are out as they are made, with scope, end and what remains after it; a person ends one and is told when it is verified to be gone',
    source: 'docs/how-to/give-tools-just-in-time-credentials.md',
  },
  {
    id: 'console.stuck-leases',
    promise: 'Credentials that could not be ended stand above all others, with since when, why, and what to do',
    source: 'docs/how-to/give-tools-just-in-time-credentials.md',
  },
  {
    id: 'console.providers',
    promise: 'The console says of each provider what it can and can’t do and whether it is well, and tests it',
    source: 'docs/how-to/give-tools-just-in-time-credentials.md',
  },
  {
    id: 'console.made-with',
    promise:
      'Before a yes and on the task, people see what a call is made with: provider, scope, and what remains of it',
    source: 'docs/how-to/give-tools-just-in-time-credentials.md',
  },
  {
    id: 'status.health',
    promise: 'One verdict says whether a server is well, and no headline, exit code or page says anything else',
    source: 'docs/how-to/run-on-postgresql.md',
  },
  {
    id: 'console.addresses',
    promise: 'Every address of the console that documentation, messages or commands name is a page',
    source: 'ARCHITECTURE.md',
  },
];
