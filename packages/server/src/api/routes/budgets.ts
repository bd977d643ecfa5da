import { paging } from '@gatehouse/protocol';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type Route, route } from '../route.ts';

export function budgetRoutes({ budgets }: ApiDependencies): Route[] {
  return [
    route('GET /budgets', everyone, 'Budgets, with how full they are', { query: paging }, async ({ query }) => {
      const { budgets: items, cursor } = await budgets.list({ after: query.cursor, limit: query.limit });
      return { items, cursor };
    }),
    route(
      'GET /budgets/:name',
      everyone,
      'One budget, and what is used of it for whom, the fullest first',
      { query: paging },
      ({ param, query }) => budgets.show(param('name'), query),
    ),
  ];
}
