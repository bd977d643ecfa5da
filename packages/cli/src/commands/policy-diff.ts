import type { AnswerChange, Leaning, MeaningChange, PolicyDifference, SupposedAnswer } from '@gatehouse/protocol';
import { exitCodes } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { clean, type Output } from '../output.ts';
import { counted } from '../policy-problems.ts';
import { type Run, toNumber } from '../verb.ts';
import { authoring, type DirectoryOptions } from './policy-directory.ts';
import { nameOfSide, openSides, sidesNamed } from './policy-sides.ts';

interface Options extends DirectoryOptions {
  live?: boolean;
  prune?: boolean;
  limit: string;
}

/** Exit code 0 when both mean the same, 1 when they do not. */
export const diff: Run<Options> = async ({ args, options, out }) => {
  const examples = toNumber(options.limit, '--limit', 0, 200);
  const sides = sidesNamed(args, options.live === true);
  const given = await openSides(sides, options, out);
  if (!given) return exitCodes.noInput;
  const { differenceOf } = await authoring();
  const difference = loaded(() => differenceOf(...given, { examples }));
  const [before, after] = sides.map(nameOfSide) as [string, string];
  if (out.json) out.printJson({ before, after, ...difference });
  else print({ before, after }, difference, out);
  return difference.same ? exitCodes.ok : exitCodes.failed;
};

/** That a set does not load is no difference, which exit code 1 stands for. */
function loaded<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (!code.startsWith('policy.')) throw error;
    throw new CliFailure('noInput', code, `One of them would not load. ${(error as Error).message}`, { cause: error });
  }
}

const leanings: Record<Leaning, string> = {
  more: 'permits more',
  less: 'permits less',
  'more-and-less': 'permits more, and less',
  same: 'means the same',
  unseen: 'no call was found that is answered otherwise by it alone',
};

const styles = { more: 'red', less: 'green', 'more-and-less': 'yellow', same: 'dim', unseen: 'dim' } as const;

function print({ before, after }: { before: string; after: string }, difference: PolicyDifference, out: Output): void {
  const { same, changes, together, tried } = difference;
  out.print(`From ${clean(before)} to ${clean(after)}:`);
  for (const change of changes) printChange(change, out);
  if (together.length > 0) {
    out.print(`\n${out.style('bold', 'Only several of these together')}`);
    for (const each of together) printAnswer(each, out);
  }
  out.print('');
  if (changes.length === 0) out.print('They say the same.');
  else if (same) out.print('They are written otherwise, and mean the same.');
  const { stops, runs, waits, otherwise } = tried.answers;
  if (!same)
    out.print(
      `${counted(changes.length, 'change')}. Of ${counted(tried.calls, 'call')} that were tried ${stops} newly stop, ${runs} newly run, ${waits} newly wait, ${otherwise} differ in tier or in what is shown.`,
    );
  if (tried.left > 0) out.note(`There was no room to try ${tried.left} of ${tried.pairs} pairs of template and tool.`);
  if (!same)
    out.note('The calls are made up. What agents really did is tried with `gatehouse policy replay --with DIRECTORY`.');
}

function printChange({ kind, name, change, permits, what, effects, examples }: MeaningChange, out: Output): void {
  out.print(
    `\n${out.style('bold', clean(`${kind} ${name}`))} ${change}: ${out.style(styles[permits], leanings[permits])}`,
  );
  for (const line of what) out.print(`  ${clean(line)}`);
  for (const effect of effects) out.print(`  ${leanings[effect.permits]}: ${clean(effect.words)}`);
  for (const example of examples) printAnswer(example, out);
}

function printAnswer({ call, before, after }: AnswerChange, out: Output): void {
  const { tool, template, agent, user, parameters = {}, arguments: args = {}, situation = {} } = call;
  const whose = typeof agent === 'object' ? Object.entries(agent).map(([key, value]) => `${key} ${value}`) : [];
  const who = typeof user === 'object' ? [`for ${user.email}`] : [];
  out.print(`  ${answer(before)} → ${answer(after)}: ${clean(tool)} ${clean(shown(args))}`);
  out.print(`      under ${clean([`${template}`, ...assigned(parameters), ...whose, ...who].join(', '))}`);
  if (Object.keys(situation).length > 0) out.print(`      where ${clean(assigned(situation).join(', '))}`);
  out.print(`      ${clean(after.reason)}`);
}

const words = { allow: 'runs', deny: 'is refused', 'needs-approval': 'waits' } as const;

const answer = ({ decision, tier, obligations }: SupposedAnswer): string =>
  `${words[decision]}${decision === 'allow' ? ` at tier ${tier}` : ''}${obligations ? ` (${assigned(obligations).join(', ')})` : ''}`;

const LONGEST = 200;

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

const assigned = (object: object): string[] =>
  Object.entries(object).map(([name, value]) => `${name}=${typeof value === 'string' ? value : shown(value)}`);
