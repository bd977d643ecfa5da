import { z } from 'zod';
import { statisticsOf } from '../../approvals/index.ts';
import { GatehouseError } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type Route, route } from '../route.ts';
import { instant } from '../search-query.ts';
import { contextOf } from './approval-context.ts';
import { proofOf } from './approval-proof.ts';

const DAY_MS = 24 * 3_600_000;
const DAYS = 30;
const statisticsQuery = z.strictObject({ from: z.string().optional(), to: z.string().optional() });

/** What approvers see before a yes, and what comes of it. */
export function approvalReviewRoutes(deps: ApiDependencies): Route[] {
  const spanOf = ({ from, to }: z.output<typeof statisticsQuery>) => {
    const until = to === undefined ? deps.clock.now() : instant(to, 'to', deps.clock.now());
    const since = from === undefined ? until - DAYS * DAY_MS : instant(from, 'from', deps.clock.now());
    if (since < until) return { from: since, to: until };
    throw new GatehouseError('bad-request', 'query.time', '"from" must be before "to".');
  };

  return [
    route(
      'GET /approvals/:id/context',
      everyone,
      'What to know before a yes: what it is like, where it comes from, and what was said to it before',
      {},
      ({ caller, param }) => contextOf(param('id'), caller.email, deps),
    ),
    route(
      'GET /approvals/:id/proof',
      everyone,
      'Who said yes to it, to what exactly, with the records that prove it: for a receipt',
      {},
      ({ param }) => proofOf(param('id'), deps),
    ),
    route(
      'GET /approval-statistics',
      'oversee',
      'How people decide: how much, how fast, how often yes; of the last 30 days unless a time is given',
      { query: statisticsQuery },
      ({ query }) => statisticsOf(deps.storage, spanOf(query)),
    ),
    route(
      'GET /approval-statistics/mine',
      'self',
      'The same of your own decisions',
      { query: statisticsQuery },
      ({ caller, query }) => statisticsOf(deps.storage, { ...spanOf(query), person: caller.email }),
    ),
  ];
}
