import type { RetentionPeriod } from '@gatehouse/protocol';
import { isSame } from './same.ts';
import { nothing, type OfKind, type Verdict } from './verdict.ts';

const words = (period: RetentionPeriod | undefined, none: string) =>
  period === undefined ? none : period === 'forever' ? 'for ever' : `for ${period} days`;

const lengthOf = (period: RetentionPeriod) => (period === 'forever' ? Number.POSITIVE_INFINITY : period);

/**
 * The longest of all that fit counts: what a class says no more may have kept what others remove, and what it says anew may remove what none
 * spoke of.
 */
function shorter(what: string, none: string, before: RetentionPeriod | undefined, after: RetentionPeriod | undefined) {
  const isLonger =
    after === 'forever' || (before !== undefined && after !== undefined && lengthOf(after) > lengthOf(before));
  return isSame(before, after) || isLonger
    ? []
    : [`${what} are kept ${words(after, none)} instead of ${words(before, none)}`];
}

const records = (before?: RetentionPeriod, after?: RetentionPeriod) =>
  shorter('records', 'as other classes say', before, after);
const bodies = (before?: RetentionPeriod, after?: RetentionPeriod) =>
  shorter('arguments', 'as other classes or the server say', before, after);

export const retention: Verdict<OfKind<'Retention'>> = {
  created: (after) => [...records(undefined, after.records), ...bodies(undefined, after.arguments)],
  gone: () => ['what it keeps, other classes may keep for a shorter time'],
  members: {
    description: 'words',
    of: 'decides',
    records: (before, after) => records(before.records, after.records),
    arguments: (before, after) => bodies(before.arguments, after.arguments),
    belowMinimum: 'decides',
    // Of copies of what has gone here.
    published: nothing,
  },
};
