import { approvalListBodies, paging } from '@gatehouse/protocol';
import { z } from 'zod';
import { inboxOf, statisticsOf } from '../../approvals/index.ts';
import { GatehouseError, type Json, limits } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type ResourceOf, type Route, type RouteContext, route } from '../route.ts';
import { instant, inWords } from '../search-query.ts';
import { contextOf } from './approval-context.ts';
import { proofOf } from './approval-proof.ts';
import { resourceOf, sawArguments } from './approvals.ts';
import { personOf } from './session.ts';

const DAY_MS = 24 * 3_600_000;
const DAYS = 30;
const inboxQuery = paging.extend({
  agent: z.string().optional(),
  tool: z.string().optional(),
  mine: z.enum(['true', 'false']).optional(),
});
const statisticsQuery = z.strictObject({ from: z.string().optional(), to: z.string().optional() });

/** What approvers see before a yes, and what comes of it. */
export function approvalReviewRoutes(deps: ApiDependencies): Route[] {
  const spanOf = ({ from, to }: z.output<typeof statisticsQuery>) => {
    const until = to === undefined ? deps.clock.now() : instant(to, 'to', deps.clock.now());
    const since = from === undefined ? until - DAYS * DAY_MS : instant(from, 'from', deps.clock.now());
    if (since < until) return { from: since, to: until };
    throw new GatehouseError('bad-request', 'query.time', '"from" must be before "to".');
  };

  /** The path names none of them: each is asked about by `requireEach`. */
  const several: ResourceOf = async () => undefined;

  /** What policies keep from this person one by one, they can't do in a list. */
  async function requireEach(list: readonly { approval: string }[], require: RouteContext['require']): Promise<void> {
    for (const { approval: id } of list.slice(0, limits.approvalsPerGesture)) {
      const approval = await deps.approvals.get(id);
      if (!approval) throw new GatehouseError('not-found', 'approval.unknown', `There is no approval "${id}".`);
      require('POST /approvals/:id/approve', resourceOf(approval, deps));
    }
  }

  return [
    route(
      'GET /approval-inbox',
      everyone,
      'What waits for a person, the gravest first; `mine`: only what your yes would bring further',
      { query: inboxQuery },
      async ({ caller, query }) => {
        const { mine, ...filter } = query;
        const page = await inboxOf(
          deps.storage,
          deps.clock,
          filter,
          (approval) => mine !== 'true' || deps.approvals.progress(approval).mayApprove.includes(caller.email),
        );
        const { items } = page;
        await deps.reads.searched({ by: caller.by, what: inWords('waiting approvals', query), items: items.length });
        return page;
      },
    ),
    route(
      'GET /approvals/:id/context',
      everyone,
      'What to know before a yes: what it is like, where it comes from, and what was said to it before',
      {},
      async ({ caller, param }) => {
        const approval = await deps.approvals.get(param('id'));
        if (approval) await sawArguments(deps, caller.by, approval);
        return contextOf(param('id'), caller.email, deps);
      },
    ),
    route(
      'GET /approvals/:id/proof',
      everyone,
      'Who said yes to it, to what exactly, with the records that prove it: for a receipt',
      {},
      async ({ caller, param }) => {
        const proof = await proofOf(param('id'), deps);
        const what = `proof of ${param('id')}`;
        await deps.reads.took({ by: caller.by, what, items: 1, subject: what });
        return proof;
      },
    ),
    route(
      'POST /approval-lists/options',
      'approve',
      'Begin to approve several of one kind: the passkey signs the list of their digests',
      { body: approvalListBodies.options, on: several },
      async ({ caller, body, require }) => {
        await requireEach(body.approvals, require);
        return { options: await deps.approvals.listOptions(body.approvals, personOf(caller).email) };
      },
    ),
    route(
      'POST /approval-lists/approve',
      'approve',
      'Approve exactly these actions, all or none: each is used and recorded by itself',
      { body: approvalListBodies.approve, on: several },
      async ({ caller, body, require }) => {
        await requireEach(body.approvals, require);
        const { email } = personOf(caller);
        return { items: await deps.approvals.approveList(body.approvals, email, body.assertion as Json) };
      },
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
