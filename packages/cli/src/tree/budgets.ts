import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addBudgetVerbs(program: Command): void {
  const budget = addGroup(program, 'budget', 'how much agents may do, and how much of it is used: list, show');
  addVerb(budget, {
    usage: 'list',
    summary: 'list budgets, with how full they are',
    options: [option('--limit <number>', 'how many at most').default('100')],
    server: true,
    isDefault: true,
    examples: [['budget list', 'A budget is changed by its manifest alone; what is used is never reset.']],
    load: async () => (await import('../commands/budgets.ts')).listBudgets,
  });
  addVerb(budget, {
    usage: 'show <budget>',
    summary: 'show what is used of one, and for whom, the fullest first',
    options: [
      option('--limit <number>', 'how many at most').default('20'),
      option('--cursor <cursor>', 'go on after a page'),
    ],
    server: true,
    examples: [['budget show refunds-per-day', 'For whom there is how much left, and until when.']],
    load: async () => (await import('../commands/budgets.ts')).showBudget,
  });
}
