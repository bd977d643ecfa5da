import { type ActionRecord, actionQuery, bodies, paging } from '@gatehouse/protocol';
import { z } from 'zod';
import { GatehouseError } from '../../platform/index.ts';
import { aboutFormerAgent } from '../about-agent.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type ResourceOf, type Route, route } from '../route.ts';
import { inWords, toSearch } from '../search-query.ts';
import { enrolmentsBehind } from './enrolments.ts';

const unknownQuery = paging.extend({ agent: z.string().optional() });

export function actionRoutes({
  ledger,
  retention,
  approvals,
  openCalls,
  registry,
  clock,
  reads,
}: ApiDependencies): Route[] {
  const find = async (id: string) => {
    const action = await ledger.action(id);
    if (action) return action;
    const removed = (await retention.hasRemoved())
      ? ' Records were removed by their class: if it was older than its class keeps, it was among them (`gatehouse log retention`).'
      : '';
    throw new GatehouseError('not-found', 'action.unknown', `There is no action "${id}".${removed}`);
  };
  /** Removed, or taken away. */
  const withoutContent = async (log: string, sequence: number) => {
    const [removal] = await retention.removalsOf(log, sequence, sequence + 1);
    return removal
      ? new GatehouseError(
          'not-found',
          'record.removed',
          `Record ${sequence} of ${log} was removed by retention (${removal.rule}): record ${removal.recorded.sequence} of ${removal.recorded.log} says so.`,
        )
      : new GatehouseError(
          'not-found',
          'record.erased',
          `Record ${sequence} of ${log} has no content, and no removal is known. Run gatehouse log verify.`,
        );
  };
  /** What became of an action is for those to say who look after its agent. */
  const onAgentOf: ResourceOf = async (param) => {
    const summary = (await ledger.action(param('id')))?.summary;
    return summary && aboutFormerAgent(registry, summary.agent ?? '');
  };

  return [
    route('GET /actions', everyone, 'Actions, newest first', { query: actionQuery }, async ({ caller, query }) => {
      const { actions, cursor } = await ledger.actions(toSearch(query, clock.now()));
      await reads.searched({ by: caller.by, what: inWords('actions', query), items: actions.length });
      return { items: actions, cursor };
    }),
    route('GET /actions/:id', everyone, 'One action with all its records', {}, async ({ caller, param }) => {
      const action = await find(param('id'));
      const { actionId } = action.summary;
      const what = `${actionId}${action.arguments === null ? '' : ' with its arguments'}`;
      await reads.took({ by: caller.by, what, items: action.records.length, subject: actionId });
      const approval = action.summary.approval === null ? undefined : await approvals.get(action.summary.approval);
      return { ...action, approval: approval ?? null };
    }),
    route(
      'GET /actions/:id/enrolments',
      everyone,
      'Of the passkeys by which a second person has agreed to it the records, with their proofs',
      {},
      async ({ param }) => ({ items: await enrolmentsBehind(ledger, (await find(param('id'))).records) }),
    ),
    route(
      'GET /unknown-actions',
      everyone,
      'Actions that may have changed something, and of which nobody knows whether they ran, newest first',
      { query: unknownQuery },
      async ({ query: { agent, cursor, limit } }) => {
        const items = await openCalls.list({
          limit,
          ...(agent !== undefined && { agent }),
          ...(cursor !== undefined && { before: cursor }),
        });
        return { items, cursor: items.length === limit ? (items.at(-1)?.actionId ?? null) : null };
      },
    ),
    route(
      'POST /actions/:id/resolve',
      'operate',
      'Say what came of an action of which nobody knew whether it ran',
      { body: bodies.resolve, on: onAgentOf },
      async ({ caller, param, body }) => {
        await openCalls.resolve(param('id'), body, caller.by);
        return (await find(param('id'))).summary;
      },
    ),
    route(
      'GET /records',
      everyone,
      'Records as they were logged, newest first',
      { query: actionQuery },
      async ({ caller, query }) => {
        const { records, cursor } = await ledger.search(toSearch(query, clock.now()));
        await reads.searched({ by: caller.by, what: inWords('records', query), items: records.length });
        return { items: records, cursor };
      },
    ),
    route(
      'GET /records/:log/:sequence/receipt',
      everyone,
      'A receipt that verifies offline',
      {},
      async ({ caller, param }) => {
        const [log, sequence] = [param('log'), Number(param('sequence'))];
        const receipt = Number.isSafeInteger(sequence) ? await ledger.receipt(log, sequence) : undefined;
        if (!receipt)
          throw new GatehouseError('not-found', 'record.unknown', `Log "${log}" has no record ${param('sequence')}.`);
        if (receipt.entry === '') throw await withoutContent(log, sequence);
        const what = `receipt of record ${sequence} of ${log}`;
        await reads.took({ by: caller.by, what, items: 1, subject: `receipts ${actionIn(receipt.entry) ?? what}` });
        return { log, sequence, ...receipt };
      },
    ),
    route('GET /logs', everyone, 'The Merkle logs, one per replica', {}, async () => ({
      items: await ledger.logs(),
      witnessing: ledger.witnessing(),
      publishing: ledger.publishing(),
      problem: ledger.problem(),
    })),
    route(
      'POST /logs/verify',
      everyone,
      'Recompute a log from its records',
      { body: bodies.verifyLog },
      async ({ body }) => {
        const { ok, size, problem, logs } = await ledger.verifyAll(body);
        return { ok, size, problem, removed: logs.reduce((sum, { removed }) => sum + removed, 0) };
      },
    ),
  ];
}

/** Whose receipt it is; a damaged entry is nobody's. */
function actionIn(entry: string): string | undefined {
  try {
    return (JSON.parse(entry) as ActionRecord).action_id;
  } catch {
    return undefined;
  }
}
