import type { AnswerChange, Manifest, SupposedAnswer, SupposedCall } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import { type Changed, keyOf } from './changes.ts';
import { diffLimits } from './limits.ts';
import { answerOf, type Given, type Side, sideOf } from './side.ts';

const ranks = { deny: 0, 'needs-approval': 1, allow: 2 } as const;

/** Undefined: nobody would notice. */
function leaningOf(before: SupposedAnswer, after: SupposedAnswer): AnswerChange['permits'] | undefined {
  const [was, is] = [ranks[before.decision], ranks[after.decision]];
  if (was !== is) return is > was ? 'more' : 'less';
  if (after.decision === 'deny') return undefined;
  // Of a higher tier: shown to whoever reviews what ran.
  const found = [after.tier - before.tier, ...obliged(before, after)].filter((each) => each !== 0);
  if (found.length === 0) return undefined;
  if (found.every((each) => each > 0)) return 'less';
  return found.every((each) => each < 0) ? 'more' : 'more-and-less';
}

/** Above 0 where more is held back. */
function obliged({ obligations: before }: SupposedAnswer, { obligations: after }: SupposedAnswer): number[] {
  const without = (all: readonly string[] = [], some: readonly string[] = []) =>
    all.filter((each) => !some.includes(each)).length;
  const limit = (before?.limit ?? Infinity) - (after?.limit ?? Infinity);
  return [
    without(after?.mask, before?.mask),
    -without(before?.mask, after?.mask),
    without(before?.reveal, after?.reveal),
    -without(after?.reveal, before?.reveal),
    Number.isNaN(limit) ? 0 : limit,
  ];
}

export function compare(
  call: SupposedCall,
  before: Side,
  after: Side,
  how: { anyArguments: boolean },
): AnswerChange | undefined {
  const [was, is] = [answerOf(before, call, how), answerOf(after, call, how)];
  const permits = leaningOf(was, is);
  return permits && { call, before: was, after: is, permits };
}

/** What was there, with one change of all. Undefined where that is no set of policies that loads. */
function withOneChange(before: Side, change: Changed, after: Given): Side | undefined {
  const key = keyOf((change.after ?? change.before) as Manifest);
  const others = before.given.manifests.filter((manifest) => keyOf(manifest) !== key);
  const { definitions } = before.given;
  const given: Given = {
    ...before.given,
    manifests: change.after ? [...others, change.after] : others,
    definitions:
      change.kind === 'ToolServer' && Object.hasOwn(after.definitions.servers, change.name)
        ? {
            ...definitions,
            servers: { ...definitions.servers, [change.name]: after.definitions.servers[change.name] ?? {} },
          }
        : definitions,
  };
  try {
    return sideOf(given, { validated: true });
  } catch (error) {
    if (error instanceof GatehouseError && error.kind === 'bad-request') return undefined;
    throw error;
  }
}

/** For each answer that differs the changes that alone would make it so; none of them: it takes several. */
export function attribute(
  found: readonly AnswerChange[],
  /** Those whose arguments no tool would take. */
  unfit: ReadonlySet<AnswerChange>,
  changes: readonly Changed[],
  before: Side,
  after: Side,
): { of: Map<Changed, AnswerChange[]>; together: AnswerChange[] } {
  const alone = changes
    .filter(({ isSame }) => !isSame)
    .slice(0, diffLimits.changesAlone)
    .flatMap((change) => {
      const side = changes.length === 1 ? after : withOneChange(before, change, after.given);
      return side ? [{ change, side }] : [];
    });
  const of = new Map<Changed, AnswerChange[]>();
  const together: AnswerChange[] = [];
  for (const each of found.slice(0, diffLimits.examined)) {
    const causes = alone.filter(({ side }) => {
      const answer = answerOf(side, each.call, { anyArguments: unfit.has(each) });
      return leaningOf(each.before, answer) !== undefined && leaningOf(answer, each.after) === undefined;
    });
    for (const { change } of causes) of.set(change, [...(of.get(change) ?? []), each]);
    if (causes.length === 0) together.push(each);
  }
  return { of, together };
}
