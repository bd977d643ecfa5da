export { checkArguments } from './arguments.ts';
export { type CircuitBreaker, createBreaker } from './breaker.ts';
export { type Budgets, budgetProblems, checkBudgets, createBudgets } from './budgets/index.ts';

export { createEnforcement, type EnforcementDependencies } from './enforce.ts';
export { operationOf } from './gateway.ts';
export { CREDENTIAL, handOutOf, isHandOut } from './hand-out.ts';
export { injectionOf } from './key.ts';
export { createOpenCalls, type OpenCalls } from './open-calls.ts';
export { RELEASE } from './release.ts';
export {
  createHeldResults,
  createOutsideDetectors,
  type HeldResults,
  isOfTheProtocol,
  type Kept,
  maskCredentials,
  type OutsideDetectors,
} from './results/index.ts';
export type { Standings } from './standing.ts';
export { findRegistered, findSubject, isRefusal, type Refusal } from './subject.ts';
export { createTickets, type Tickets } from './tickets.ts';
export * from './types.ts';
