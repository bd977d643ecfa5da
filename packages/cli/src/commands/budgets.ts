import type { BudgetCounter, BudgetDetail } from '@gatehouse/protocol';
import { takeUpTo } from '../items.ts';
import type { Output } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

interface ListOptions extends ServerOptions {
  limit: string;
}

export const listBudgets: Run<ListOptions> = async ({ options, out }) => {
  const limit = toNumber(options.limit, '--limit', 1, 100_000);
  const items = await takeUpTo(operatorOf(options).list('GET /budgets'), limit);
  if (out.json) return out.printJson({ items });
  if (items.length === 0)
    return out.note(
      'There are none: agents may do as much as they are permitted to. See the how-to "Limit what agents spend".',
    );
  out.table(
    ['BUDGET', 'LIMIT', 'BEYOND', 'COUNTERS', 'FULLEST'],
    items.map((each) => [
      each.name,
      each.limit,
      each.over === 'deny' ? 'refused' : 'asks',
      String(each.counters),
      `${each.fullest} %`,
    ]),
  );
};

interface ShowOptions extends ListOptions {
  cursor?: string;
}

export const showBudget: Run<ShowOptions> = async ({ args: [name = ''], options, out }) => {
  const limit = toNumber(options.limit, '--limit', 1, 500);
  const budget = await operatorOf(options).call('GET /budgets/:name', {
    params: { name },
    query: { limit, ...(options.cursor !== undefined && { cursor: options.cursor }) },
  });
  if (out.json) return out.printJson(budget);
  print(budget, out);
};

function print(budget: BudgetDetail, out: Output): void {
  const { manifest } = budget;
  out.facts([
    ['Budget', budget.name],
    ['Description', budget.description],
    ['Limit', budget.limit],
    ['Beyond it', budget.over === 'deny' ? 'refused' : 'a person is asked'],
    ['Covers', [manifest.tools, manifest.effects, manifest.domains].flatMap((words) => words ?? []).join(', ')],
    ['Counters', budget.counters],
  ]);
  if (budget.items.length === 0) {
    out.note('Nothing is used of it now.');
    return;
  }
  out.print('');
  out.table(
    ['FOR', 'USED', 'UNTIL'],
    budget.items.map((each) => [each.for || '(everything)', usedOf(each), each.until?.replace('.000Z', 'Z') ?? '']),
  );
  if (budget.cursor) out.note(`There are more: --cursor ${budget.cursor}`);
}

const usedOf = ({ used }: BudgetCounter) =>
  used.map((each) => `${each.used} of ${each.of} ${each.unit}`.trim()).join(', ');
