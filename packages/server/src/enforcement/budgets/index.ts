export { type Budgets, createBudgets } from './budgets.ts';
export { budgetProblems, checkBudgets } from './check.ts';
export { settleOf, spendOf, type Wanted, wantedOf } from './spend.ts';
export { beyond, counted } from './words.ts';
