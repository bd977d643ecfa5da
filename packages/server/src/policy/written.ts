import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { policySetTextToParts } from '@cedar-policy/cedar-wasm/nodejs';
import type { Manifest, Place, PolicyManifest, PolicyProblem } from '@gatehouse/protocol';
import { nestingProblem, parsePolicy } from './cedar/index.ts';
import { policyLimits } from './cedar/limits.ts';
import { grantableProblem } from './grantable.ts';
import type { LoadedPolicy } from './load.ts';
import { obligationProblem } from './obligations.ts';
import { isObserveOnly } from './observe-only.ts';
import { problemIn, problemsFrom } from './problems.ts';
import { argumentReads, situationReads } from './reads.ts';
import { isAboutUsers } from './scope.ts';
import { type PolicyText, placeOf, splitPolicies } from './source-text.ts';
export type WrittenFile = Pick<PolicyManifest, 'name' | 'cedar' | 'mode'>;
type Written = LoadedPolicy & PolicyText;

/** Parsing is most of the time that a large set takes, and most changes leave most texts as they were. The least recently used go first. */
const known = new Map<string, { length: number; policies: readonly Written[] }>();
let kept = 0;

/** The policies of one text; nobody may change them. */
export function readWritten(file: WrittenFile, problems: PolicyProblem[]): readonly Written[] {
  const { name, cedar, mode } = file;
  const key = JSON.stringify([name, mode, cedar]);
  const before = known.get(key);
  if (before) {
    known.delete(key);
    known.set(key, before);
    return before.policies;
  }
  const found: PolicyProblem[] = [];
  const policies = parse(name, cedar, found).map((policy) => ({
    ...policy,
    permit: null,
    reads: argumentReads(policy.json),
    situation: situationReads(policy.json),
    raises: raises(policy.json),
    observeOnly: isObserveOnly(policy.json.annotations, mode),
    isAboutUsers: isAboutUsers(policy.json),
  }));
  problems.push(...found);
  if (found.length === 0) keep(key, policies);
  return policies;
}

function keep(key: string, policies: readonly Written[]): void {
  known.set(key, { length: key.length, policies });
  kept += key.length;
  for (const [oldest, { length }] of known) {
    if (kept <= policyLimits.parsedChars) return;
    known.delete(oldest);
    kept -= length;
  }
}

const SLICE_MS = 10;

/** Parses what will be asked for soon, in slices: nothing else waits for thousands of policies, and no transaction is open meanwhile. */
export async function prepareToCompile(manifests: readonly Manifest[]): Promise<void> {
  let from = performance.now();
  for (const manifest of manifests) {
    if (manifest.kind !== 'Policy') continue;
    readWritten(manifest, []);
    if (performance.now() - from < SLICE_MS) continue;
    await new Promise(setImmediate);
    from = performance.now();
  }
}

function parse(
  name: string,
  text: string,
  problems: PolicyProblem[],
): ({ id: string; json: PolicyJson } & PolicyText)[] {
  const start = placeOf(text, 0);
  const nesting = nestingProblem(text);
  if (nesting !== undefined) {
    problems.push(problemIn({ name }, start, nesting));
    return [];
  }
  const parts = policySetTextToParts(text);
  if (parts.type === 'failure') {
    problems.push(
      ...parts.errors.flatMap((error) => problemsFrom({ name }, error, { whole: text, source: text, offset: 0 })),
    );
    return [];
  }
  if (parts.policy_templates.length > 0) {
    const message = 'policy templates with slots are not accepted here';
    problems.push(problemIn({ name }, start, message, 'write permission templates instead'));
    return [];
  }
  return splitPolicies(text).flatMap((each, index) => {
    const place = () => placeOf(text, each.offset, each.offset + each.source.length);
    const parsed = parsePolicy(each.source);
    if ('problem' in parsed) {
      problems.push(problemIn({ name }, place(), parsed.problem));
      return [];
    }
    const { tier, id, mode } = parsed.json.annotations ?? {};
    if (tier !== undefined && !['1', '2', '3', '4'].includes(tier))
      problems.push(
        problemIn({ name }, wordIn(text, each, tier) ?? place(), `@tier must be "1" to "4", not "${tier}"`),
      );
    if (mode !== undefined && mode !== 'enforce' && mode !== 'observe')
      problems.push(
        problemIn({ name }, wordIn(text, each, mode) ?? place(), `@mode must be "enforce" or "observe", not "${mode}"`),
      );
    for (const problem of [obligationProblem(parsed.json.annotations), grantableProblem(parsed.json)])
      if (problem !== undefined) problems.push(problemIn({ name }, place(), problem));
    return [{ id: `${name}#${id ?? index}`, json: parsed.json, ...each }];
  });
}

export const raises = ({ effect, annotations }: PolicyJson) =>
  effect === 'forbid' && (annotations?.tier === '2' || annotations?.tier === '3');

/** Where a word stands in a policy, as a member or by itself. */
export function wordIn(text: string, { source, offset }: PolicyText, word: string): Place | undefined {
  const at = new RegExp(`(?<![\\w"])"?${word.replaceAll(/[^\w]/g, '\\$&')}(?!\\w)`).exec(source)?.index;
  return at === undefined ? undefined : placeOf(text, offset + at, offset + at + word.length);
}
