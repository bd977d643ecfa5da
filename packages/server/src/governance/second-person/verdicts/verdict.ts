import type { Manifest } from '@gatehouse/protocol';

export type OfKind<Kind extends Manifest['kind']> = Extract<Manifest, { kind: Kind }>;

/** What a change is looked at with: what policies say decides whether leaving a group lets something through. */
export interface Around {
  /** Texts of all written policies, before and after, and of the rules of who says yes. */
  policies: readonly string[];
}

/**
 * What a change of one member comes to. `words`: for people to read. `elsewhere`: given and taken by an act of its own, which has rules of
 * its own. `decides`: every change could let something through. A function: why it could; nothing where it is plainly narrower.
 */
export type Member<M> = 'words' | 'elsewhere' | 'decides' | ((before: M, after: M, around: Around) => string[]);

/** Of a kind of manifest. A member that has no verdict is taken to decide; the name is what a manifest is known by and never changes. */
export interface Verdict<M> {
  created: 'decides' | ((after: M, around: Around) => string[]);
  gone: 'decides' | ((before: M, around: Around) => string[]);
  members: { [Name in Exclude<keyof M, 'kind' | 'name' | 'email'>]-?: Member<M> };
}

export const nothing = (): string[] => [];

/** For lists of which fewer entries are narrower. */
export const moreOf = (
  before: readonly string[] | undefined,
  after: readonly string[] | undefined,
  words: (added: string) => string,
): string[] => {
  const added = (after ?? []).filter((each) => !before?.includes(each));
  return added.length > 0 ? [words(added.slice(0, 10).join(', '))] : [];
};

/** For kinds of data that are masked, of which more are narrower. */
export const lessMasked = (before: readonly string[] | undefined, after: readonly string[] | undefined): string[] =>
  moreOf(after, before, (shown) => `results are not masked any more: ${shown}`);

/** Whether a written policy could tell those in a group, or with a role, from others. On the safe side: any mention counts. */
export const isNamed = ({ policies }: Around, word: RegExp): boolean => policies.some((text) => word.test(text));

const risks = ['low', 'medium', 'high'];

export const lessRisk = (before: { risk: string }, after: { risk: string }): string[] =>
  risks.indexOf(after.risk) < risks.indexOf(before.risk) ? [`its risk becomes ${after.risk}`] : [];
