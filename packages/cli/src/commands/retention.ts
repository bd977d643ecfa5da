import type { RetentionClass, RetentionPeriod } from '@gatehouse/protocol';
import { clean } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

export const retention: Run<ServerOptions> = async ({ options, out }) => {
  const found = await operatorOf(options).call('GET /retention');
  if (out.json) return out.printJson(found);
  const { classes, defaultArgumentsDays, next, removed, underWay, pausedUntil, problem, removals } = found;
  out.table(
    ['CLASS', 'OF', 'ARGUMENTS', 'RECORDS'],
    [
      ...classes.map((each) => [each.name, selectors(each), days(each.arguments), recordsOf(each, found.minimumDays)]),
      [
        '(everything else)',
        '',
        defaultArgumentsDays === null ? 'for ever' : `${defaultArgumentsDays} days`,
        'for ever',
      ],
    ],
  );
  const counted = `${next.due} of ${next.of} records that were looked at${next.complete ? '' : ', and more are old enough to be'}`;
  out.print(`Next: ${counted}; ${next.held} are kept by a hold, ${next.needed} by what is not over or kept for ever.`);
  for (const sink of next.waitsFor)
    out.print(
      `The sink ${clean(sink)} has not taken all that is old enough to go: that waits for it (gatehouse sinks let-go).`,
    );
  if (pausedUntil !== null)
    out.print(
      `Paused: the server’s clock has leapt by days, or it was away. No record goes before ${new Date(pausedUntil).toISOString()}; put the clock back if it is wrong.`,
    );
  if (problem !== null) out.print(`Stopped: ${clean(problem)}. No record goes until that is mended.`);
  if (underWay > 0) out.print(`Under way: the removal of ${underWay} records is on record, and goes on.`);
  out.print(`Removed so far: ${removed.records} records.`);
  for (const each of removals.slice(0, 10))
    out.print(
      `  ${new Date(each.recorded.at).toISOString()}  ${each.records - each.kept} records of ${clean(each.log)}: ${clean(each.rule)}; record ${each.recorded.sequence} of ${clean(each.recorded.log)} says so`,
    );
};

export const withdrawRetention: Run<ServerOptions> = async ({ args: [name = ''], options, out }) => {
  const found = await operatorOf(options).call('POST /retention/:name/withdraw', { params: { name } });
  if (out.json) return out.printJson(found);
  out.print(`Withdrawn: ${clean(name)} keeps records for ${found.minimumDays} days again.`);
};

const days = (period: RetentionPeriod | null): string =>
  period === null ? '-' : period === 'forever' ? 'for ever' : `${period} days`;

function recordsOf({ name, records, belowMinimum }: RetentionClass, minimum: number): string {
  if (!belowMinimum || belowMinimum.agreed) return days(records);
  return `${minimum} days (${days(records)} once somebody else agrees: gatehouse log agree ${name})`;
}

const selectors = ({ of }: RetentionClass): string =>
  Object.entries(of)
    .map(([name, values]) => `${name} ${values?.join(' ')}`)
    .join(', ') || 'every action';
