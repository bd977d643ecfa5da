import { baseline, type EnvironmentManifest } from '@gatehouse/protocol';
import { isSame } from './same.ts';
import { lessMasked, moreOf, type Verdict } from './verdict.ts';

/** Whether relaxing changes that concern this environment wait for a second person. */
export const wantsSecondPerson = ({ production, policyChanges }: EnvironmentManifest): boolean =>
  (policyChanges ?? (production ? 'second-person' : 'direct')) === 'second-person';

const askNobody = 'its changes need no second person any more';

const rulesOff = (before: EnvironmentManifest['flowRulesOff'], after: EnvironmentManifest['flowRulesOff']) =>
  moreOf(before, after, (off) => `built-in rules of information flow are switched off: ${off}`);

const unwatched = (before: EnvironmentManifest['baseline'], after: EnvironmentManifest['baseline']) =>
  moreOf(before?.rulesOff, after?.rulesOff, (off) => `built-in rules on unusual calls are switched off: ${off}`);

/** More to be learned first keeps agents unwatched for longer; in another zone other hours are usual. Less teaches less, and so stops more. */
function isLaxerBaseline(before: EnvironmentManifest['baseline'], after: EnvironmentManifest['baseline']): boolean {
  const [was, is] = [before ?? baseline.parse({}), after ?? baseline.parse({})];
  return is.days > was.days || is.calls > was.calls || is.zone !== was.zone;
}

const asksNobody = (before: EnvironmentManifest, after: EnvironmentManifest) =>
  wantsSecondPerson(before) && !wantsSecondPerson(after) ? [askNobody] : [];

export const environment: Verdict<EnvironmentManifest> = {
  // Beside one that asks, it is where everything could be done that is not done there.
  created: (after) => [
    ...(wantsSecondPerson(after) ? [] : ['a new environment, whose changes need no second person']),
    ...rulesOff([], after.flowRulesOff),
    ...unwatched(undefined, after.baseline),
    ...(after.breaker ? ['when tasks and agents are suspended is changed'] : []),
  ],
  // Otherwise it goes in one change, and comes back in the next as one that asks nobody.
  gone: (before) => (wantsSecondPerson(before) ? [askNobody] : []),
  members: {
    description: 'words',
    production: (before, after) => [
      ...(after.production ? [] : ['it is no production environment any more']),
      ...asksNobody(before, after),
    ],
    policyChanges: (before, after) => (before.production === after.production ? asksNobody(before, after) : []),
    flowRulesOff: (before, after) => rulesOff(before.flowRulesOff, after.flowRulesOff),
    baseline: (before, after) => [
      ...unwatched(before.baseline, after.baseline),
      ...(isLaxerBaseline(before.baseline, after.baseline) ? ['when what is usual counts as known is changed'] : []),
    ],
    breaker: (before, after) =>
      isSame(before.breaker, after.breaker) ? [] : ['when tasks and agents are suspended is changed'],
    mask: (before, after) => lessMasked(before.mask, after.mask),
    breakGlass: (before, after) =>
      isSame(before.breakGlass, after.breakGlass) || after.breakGlass === 'off'
        ? []
        : ['with which incidents and for how long the glass may be broken is changed'],
  },
};
