import type { LocatedProblem, PolicyProblem } from '@gatehouse/protocol';
import { inOrder } from '../check.ts';
import { type Directory, locator } from '../directory.ts';
import type { Authored } from '../workspace.ts';
import { broad } from './broad.ts';
import { gather } from './facts.ts';
import { isIgnoredAt, withoutIgnored } from './ignored.ts';
import { rules } from './rules.ts';
import { shadowed } from './shadowed.ts';
import { suspicious } from './suspicious.ts';
import { unused } from './unused.ts';

/**
 * What is permitted to be written and was probably not meant: policies that load all the same. Only what is seen for certain from scopes
 * and conditions is said; that nothing is found proves nothing.
 */
export function lint(workspace: Authored): PolicyProblem[] {
  const facts = gather(workspace);
  const found = [...unused(facts), ...shadowed(facts), ...broad(facts), ...suspicious(facts), ...rules(facts)];
  return withoutIgnored(facts, withoutRepeats(found));
}

/** The same with places in files, and without what a comment there ignores. */
export function lintDirectory(directory: Directory, workspace: Authored): LocatedProblem[] {
  return inOrder(
    lint(workspace)
      .map(locator(directory.manifests))
      .filter((problem) => !isIgnoredAt(directory.manifests, problem)),
  );
}

/** An entry that allows many tools has its fault once. */
function withoutRepeats(problems: PolicyProblem[]): PolicyProblem[] {
  const seen = new Set<string>();
  return problems.filter(({ code, kind, name, path, place, message }) => {
    const key = JSON.stringify([code, kind, name, path, place?.line, place ? message : '']);
    return !seen.has(key) && seen.add(key);
  });
}
