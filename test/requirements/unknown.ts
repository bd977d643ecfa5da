import type { Requirement } from './requirement.ts';

/** How agents wait, and calls that were sent and of which nobody knows what came of them. */
export const unknown: Requirement[] = [
  {
    id: 'waiting.every-surface',
    promise: 'Whatever surface a call waits on, it says for which approval, where to look at it and when to come back',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'waiting.mcp-task',
    promise:
      'A client that takes MCP tasks has one while people decide: it says what is waited for and where, runs once after the yes whichever replica carries it on, keeps what came of it, and ends with the reason',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'waiting.mcp-task-fenced',
    promise:
      'Of an MCP task it is said that nothing ran, or that it was cancelled before it ran, only once its call can be sent nowhere any more: the dispatch checks that the task still waits',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'waiting.mcp-task-own',
    promise:
      'An MCP task is there for the agent and task that made it, at its address, and for nobody else; its database row belongs to no other',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'unknown.not-repeated',
    promise: 'A call that may have run is never silently sent again: a person is asked, who is shown the first one',
    source: 'docs/how-to/resolve-what-is-unknown.md',
  },
  {
    id: 'unknown.yes-binds',
    promise: 'A yes that was given without knowing of a call that may have run is no yes to repeat that',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'unknown.operator-says',
    promise: 'Only the operator can say that doing a call twice is doing it once; what a server says lowers nothing',
    source: 'SECURITY.md#law-2',
  },
  {
    id: 'unknown.resolved',
    promise: 'A person says once what came of an unknown action; it is a record of its own',
    source: 'docs/how-to/resolve-what-is-unknown.md',
  },
  {
    id: 'unknown.budget',
    promise: 'What is unknown counts on budgets until a person says that it never happened',
    source: 'docs/how-to/limit-what-agents-spend.md',
  },
  {
    id: 'unknown.replicas',
    promise: 'What a replica had sent when it died is not sent again by another, and shows as unknown while it is gone',
    source: 'SECURITY.md#law-1',
  },
];
