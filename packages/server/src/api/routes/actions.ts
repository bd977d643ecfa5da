import { actionQuery, bodies } from '@gatehouse/protocol';
import type { z } from 'zod';
import type { SearchQuery } from '../../ledger/index.ts';
import { GatehouseError } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type Route, route } from '../route.ts';

export function actionRoutes({ ledger, approvals }: ApiDependencies): Route[] {
  return [
    route('GET /actions', everyone, 'Actions, newest first', { query: actionQuery }, async ({ query }) => {
      const { actions, cursor } = await ledger.actions(toSearch(query));
      return { items: actions, cursor };
    }),
    route('GET /actions/:id', everyone, 'One action with all its records', {}, async ({ param }) => {
      const action = await ledger.action(param('id'));
      if (!action) throw new GatehouseError('not-found', 'action.unknown', `There is no action "${param('id')}".`);
      const approval = action.summary.approval === null ? undefined : await approvals.get(action.summary.approval);
      return { ...action, approval: approval ?? null };
    }),
    route(
      'GET /records',
      everyone,
      'Records as they were logged, newest first',
      { query: actionQuery },
      async ({ query }) => {
        const { records, cursor } = await ledger.search(toSearch(query));
        return { items: records, cursor };
      },
    ),
    route('GET /records/:log/:sequence/receipt', everyone, 'A receipt that verifies offline', {}, async ({ param }) => {
      const [log, sequence] = [param('log'), Number(param('sequence'))];
      const receipt = Number.isSafeInteger(sequence) ? await ledger.receipt(log, sequence) : undefined;
      if (!receipt)
        throw new GatehouseError('not-found', 'record.unknown', `Log "${log}" has no record ${param('sequence')}.`);
      return { log, sequence, ...receipt };
    }),
    route('GET /logs', everyone, 'The Merkle logs, one per replica', {}, async () => ({ items: await ledger.logs() })),
    route(
      'POST /logs/verify',
      everyone,
      'Recompute a log from its records',
      { body: bodies.verifyLog },
      async ({ body }) => {
        const known = (await ledger.logs()).map(({ id }) => id);
        const logs = body.log === undefined ? known : [body.log];
        const kept = Map.groupBy(body.checkpoints ?? [], (note) => note.split('\n', 1)[0] ?? '');
        // Whoever kept a checkpoint of a log knows that there was one, and a log never goes.
        const gone = [...kept.keys()].find((log) => !known.includes(log));
        if (gone !== undefined)
          return { ok: false, size: 0, problem: `missing: there is no log "${gone}", and a checkpoint of it was kept` };
        let size = 0;
        for (const log of logs) {
          const report = await ledger.verify(log, { checkpoints: kept.get(log) ?? [] });
          size += report.size;
          if (!report.ok) return { ok: false, size, problem: `${log}: ${report.problem}` };
        }
        return { ok: true, size, problem: null };
      },
    ),
  ];
}

function toSearch({ from, to, ...query }: z.output<typeof actionQuery>): SearchQuery {
  const search = Object.fromEntries(
    Object.entries(query).filter(([, value]) => value !== undefined),
  ) as unknown as SearchQuery;
  if (from !== undefined) search.from = toMilliseconds(from, 'from');
  if (to !== undefined) search.to = toMilliseconds(to, 'to');
  return search;
}

function toMilliseconds(text: string, name: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isSafeInteger(value)) return value;
  throw new GatehouseError(
    'bad-request',
    'query.time',
    `"${name}" must be an RFC 3339 time (2026-01-31T12:00:00Z) or milliseconds since the epoch.`,
  );
}
