import { type ExportRemovals, exportPartQuery, exportRangeQuery, exportRemovalsQuery } from '@gatehouse/protocol';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type Route, route } from '../route.ts';
import { toSearch } from '../search-query.ts';

export function recordExportRoutes({ ledger, retention, reads, clock }: ApiDependencies): Route[] {
  /** An export is many requests, and a record of its own with their count. */
  const look = (by: string, log: string, first: number, end: number, items: number) =>
    reads.took({ by, items, what: `export of ${log}, records ${first} to ${end}`, subject: `export ${log} ${end}` });
  return [
    route(
      'GET /logs/:log/range',
      everyone,
      'Which records of a log are of a time',
      { query: exportRangeQuery },
      async ({ caller, param, query }) => {
        const { from, to } = toSearch({ ...query, limit: 1 }, clock.now());
        const range = await ledger.ranges.range(param('log'), {
          ...(from !== undefined && { from }),
          ...(to !== undefined && { to }),
        });
        await look(caller.by, range.log, range.first, range.end, 0);
        return range;
      },
    ),
    route(
      'GET /logs/:log/entries',
      everyone,
      'Records of a log as they were hashed, in their order',
      { query: exportPartQuery },
      async ({ caller, param, query: { first, end } }) => {
        const part = await ledger.ranges.entries(param('log'), first, end);
        await look(caller.by, param('log'), first, end, part.entries.length);
        return part;
      },
    ),
    route(
      'GET /logs/:log/range-proof',
      everyone,
      'The proof that a part of a log is whole',
      { query: exportPartQuery },
      ({ param, query: { first, end } }) => ledger.ranges.proof(param('log'), first, end),
    ),
    route(
      'GET /logs/:log/removals',
      everyone,
      'The records that say which of a part of a log retention has removed, with their proofs',
      { query: exportRemovalsQuery },
      async ({ param, query: { first, end, after } }) => {
        const removals = await retention.removalsOf(param('log'), first, end, after);
        const items: ExportRemovals['items'] = [];
        const kept = await retention.keepsOf(removals.map(({ id }) => id));
        for (const { log, sequence } of [...removals.map(({ recorded }) => recorded), ...kept]) {
          const receipt = await ledger.receipt(log, sequence);
          if (receipt) items.push({ log, sequence, ...receipt });
        }
        return { items, next: removals.at(-1)?.id ?? null };
      },
    ),
  ];
}
