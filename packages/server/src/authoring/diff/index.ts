import type {
  AnswerChange,
  Leaning,
  MeaningChange,
  PolicyDifference,
  SupposedAnswer,
  SupposedCall,
} from '@gatehouse/protocol';
import { attribute, compare } from './attribute.ts';
import { callsOf, plainCalls } from './calls.ts';
import { type Changed, changesBetween } from './changes.ts';
import { diffLimits } from './limits.ts';
import { pairsOf } from './pairs.ts';
import { answerOf, type Given, mayEver, type Side, sideOf } from './side.ts';
import { standingEffects } from './standing.ts';

export { diffLimits } from './limits.ts';
export type { Given } from './side.ts';

/**
 * What differs in meaning between two sets of all that decides: what was added, removed and changed, in words, and calls that they answer
 * otherwise. These are made up from the templates, the tools and the values that conditions compare; that none is found proves nothing.
 * Throws `policy.invalid` where one of the sets would not load.
 */
export function differenceOf(
  before: Given,
  after: Given,
  { examples = 3, calls: most = diffLimits.calls as number } = {},
): PolicyDifference {
  const [was, is] = [sideOf(before), sideOf(after)];
  const changes = changesBetween(was, is);
  const { found, unfit, calls, pairs, left } = tried(was, is, changes, most);
  const { of, together } = attribute(found, unfit, changes, was, is);
  return {
    same: changes.every(({ isSame }) => isSame),
    changes: changes.map((change) => meaningChange(change, of.get(change) ?? [], examples)),
    together: varied(together, examples),
    tried: { calls, pairs, left, answers: counted(found) },
  };
}

function meaningChange(change: Changed, found: readonly AnswerChange[], examples: number): MeaningChange {
  const { kind, name, before, after, isSame, what } = change;
  const effects = isSame ? [] : standingEffects(change);
  const leanings = [...effects, ...found].map(({ permits }) => permits);
  return {
    kind,
    name,
    change: before ? (after ? 'changed' : 'removed') : 'added',
    permits: isSame ? 'same' : joined(leanings),
    what,
    effects,
    examples: varied(found, examples),
  };
}

function joined(leanings: readonly AnswerChange['permits'][]): Leaning {
  if (leanings.length === 0) return 'unseen';
  const [first] = leanings as [AnswerChange['permits']];
  return leanings.every((each) => each === first) ? first : 'more-and-less';
}

function tried(before: Side, after: Side, changes: readonly Changed[], most: number) {
  const pairs = pairsOf(before, after, changes);
  const found: AnswerChange[] = [];
  const unfit = new Set<AnswerChange>();
  let calls = 0;
  let left = 0;
  for (const pair of pairs) {
    if (calls >= most) {
      left++;
      continue;
    }
    const plain = plainCalls(pair, [after, before]);
    // What neither side ever permits is refused by both.
    if (!plain.some((call) => mayEver(before, call) || mayEver(after, call))) continue;
    // A schema may ask for what nobody can make up: then it is only asked what the policies say.
    const anyArguments = [before, after].every((side) => plain.every((call) => isUnfit(answerOf(side, call))));
    const passes = (call: SupposedCall) =>
      [before, after].some((side) => answerOf(side, call, { anyArguments }).decision !== 'deny');
    for (const call of callsOf(pair, [after, before], passes)) {
      if (calls >= most) break;
      calls++;
      const difference = compare(call, before, after, { anyArguments });
      if (!difference) continue;
      found.push(difference);
      if (anyArguments) unfit.add(difference);
    }
  }
  return { found, unfit, calls, pairs: pairs.length, left };
}

const isUnfit = ({ code }: SupposedAnswer) => code === 'arguments.invalid' || code === 'credential.scope';

/** Not all of one sort. */
function varied(found: readonly AnswerChange[], limit: number): AnswerChange[] {
  const sortOf = ({ call, before, after }: AnswerChange) =>
    JSON.stringify([call.tool, before.decision, before.tier, after.decision, after.tier, after.code]);
  const firsts = [...Map.groupBy(found, sortOf).values()].map((alike) => alike[0] as AnswerChange);
  const permits = (wanted: AnswerChange['permits']) => firsts.filter((each) => each.permits === wanted);
  // What lets more through is what nobody should miss.
  return [...permits('more'), ...permits('more-and-less'), ...permits('less')].slice(0, limit);
}

function counted(found: readonly AnswerChange[]): PolicyDifference['tried']['answers'] {
  const of = (decision: string) =>
    found.filter(({ before, after }) => before.decision !== after.decision && after.decision === decision).length;
  const [stops, runs, waits] = [of('deny'), of('allow'), of('needs-approval')];
  return { stops, runs, waits, otherwise: found.length - stops - runs - waits };
}
