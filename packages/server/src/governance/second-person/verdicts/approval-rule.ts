import type { ApprovalRuleManifest } from '@gatehouse/protocol';
import { isSame } from './same.ts';
import { moreOf, nothing, type OfKind, type Verdict } from './verdict.ts';

type Rule = ApprovalRuleManifest;

const longer = (what: string, before: number | undefined, after: number | undefined): string[] =>
  (after ?? Number.POSITIVE_INFINITY) > (before ?? Number.POSITIVE_INFINITY)
    ? [`${what} ${after === undefined ? 'without an end' : `${after} s`} instead of ${before} s`]
    : [];

/** The same steps with more yeses, of fewer or more different people. Anything else could be met by others. */
function isStricter(before: Rule['steps'], after: Rule['steps']): boolean {
  return before.every((step, at) => {
    const now = after[at];
    return (
      now !== undefined &&
      now.approve >= step.approve &&
      (now.distinct || !step.distinct) &&
      now.from.every((source) => step.from.includes(source))
    );
  });
}

/** A rule that is new or gone is named by nobody yet, or no more: whoever names it decides. */
export const approvalRule: Verdict<Rule> = {
  created: nothing,
  gone: nothing,
  members: {
    description: 'words',
    steps: (before, after) =>
      isStricter(before.steps, after.steps) ? [] : ['other people, or fewer, could approve what it is named for'],
    order: (_, { order }) => (order === 'parallel' ? ['its steps no longer wait for each other'] : []),
    deny: ({ deny: before }, { deny: after }) =>
      after > before ? [`it takes ${after} noes instead of ${before}`] : [],
    exclude: (before, after) => moreOf(after.exclude, before.exclude, (gone) => `it no longer excludes ${gone}`),
    expiresAfterSeconds: ({ expiresAfterSeconds: before = 900 }, { expiresAfterSeconds: after = 900 }) =>
      longer('what it is named for may wait', before, after),
    yesLastsSeconds: ({ yesLastsSeconds: before }, { yesLastsSeconds: after }) => longer('a yes lasts', before, after),
    accept: (before, after) =>
      moreOf(before.accept, after.accept, (added) => `a yes is enough without a passkey: ${added}`).filter(
        (words) => !words.endsWith(': passkey'),
      ),
    escalate: (before, after) =>
      after.escalate.every((step) => before.escalate.some((old) => isSame(old, step)))
        ? []
        : ['others may approve after a time'],
  },
};

/** Whoever is on call is who may approve where a rule says so. */
export const onCall: Verdict<OfKind<'OnCall'>> = {
  created: nothing,
  gone: nothing,
  members: {
    description: 'words',
    zone: 'decides',
    people: 'decides',
    startsOn: 'decides',
    handOverAt: 'decides',
    everyDays: 'decides',
    overrides: (before, after) =>
      after.overrides.every((each) => each.person === null || before.overrides.some((old) => isSame(old, each))) &&
      before.overrides.every((old) => after.overrides.some((each) => isSame(old, each)))
        ? []
        : ['who is on call is changed'],
  },
};
