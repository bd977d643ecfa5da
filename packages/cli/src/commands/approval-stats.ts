import type { DecidedBy } from '@gatehouse/protocol';
import { clean } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

interface Options extends ServerOptions {
  from?: string;
  to?: string;
  mine?: boolean;
}

export const approvalStatistics: Run<Options> = async ({ options, out }) => {
  const { from, to, mine } = options;
  const route = mine ? 'GET /approval-statistics/mine' : 'GET /approval-statistics';
  const statistics = await operatorOf(options).call(route, { query: { from, to } });
  if (out.json) return out.printJson(statistics);
  const { whole, people, agents, tools } = statistics;
  if (whole.decided === 0) return out.note('Nothing was decided in this time.');
  const row = (kind: string, { of, decided, approved, medianMs, hasty }: DecidedBy) => [
    kind,
    of,
    String(decided),
    `${Math.round((100 * approved) / decided)} %`,
    medianMs === null ? '-' : `${(medianMs / 1_000).toFixed(1)} s`,
    `${Math.round((100 * hasty) / decided)} %`,
  ];
  out.table(
    ['OF', 'NAME', 'ANSWERS', 'YES', 'MEDIAN', 'YES WITHIN 5 s'],
    [
      ...people.map((each) => row('person', each)),
      ...agents.map((each) => row('agent', each)),
      ...tools.map((each) => row('tool', each)),
    ],
  );
  for (const { of, remark } of [...people, ...agents, ...tools]) if (remark) out.print(clean(`${of}: ${remark}`));
  if (statistics.isCut) out.note('There were more than are counted: choose a shorter time.');
};
