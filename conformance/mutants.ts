import { join } from 'node:path';
import type { Manifest, PolicyProblem } from '@gatehouse/protocol';
import { table } from '../bench/measure.ts';
import {
  authoredFrom,
  checkPolicies,
  type Directory,
  lint,
  runTests,
  splitPolicies,
  type TestFile,
  withStandIns,
} from '../packages/server/src/authoring/index.ts';
import { equivalents } from './mutants/equivalent.ts';
import { type Mutant, mutantsOf } from './mutants/operators.ts';
import { type MutantSet, mutantSets, type Story } from './mutants/sets.ts';
import type { Part } from './part.ts';

const root = join(import.meta.dirname, '..');

type Judge = 'check' | 'lint' | 'tests' | 'replay' | 'equivalent' | 'survived';
interface Judged extends Mutant {
  set: string;
  by: Judge;
}

/**
 * S6: faults put one at a time into every template, group, policy and tool setting of what ships tests, and into the built-in rules of
 * information flow. Caught: a test beside it fails, it does not load, the linter finds something that it did not find before, or a replay over
 * recorded actions decides one of them otherwise.
 */
export const mutants: Part = {
  heading: 'Policy mutants (S6)',
  async run() {
    const sets = mutantSets(root);
    const judged = sets.flatMap(judgeSet);
    for (const { name, story } of sets) if (story) await judgeByReplay(name, story, judged);
    const rowsOf = (key: (each: Judged) => string) =>
      [...Map.groupBy(judged, key)].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, own]) => [name, ...counts(own)]);
    const survivors = judged.filter(({ by }) => by === 'survived');
    const score = percent(judged);
    const headings = ['', 'mutants', 'by tests', 'by check', 'by lint', 'by replay', 'equivalent', 'survived', 'score'];
    const list = survivors.map(({ set, id }) => `- ${set}: ${id}`).join('\n');
    return {
      versions: `${judged.length} mutants`,
      text: [
        'Each is counted where it is caught first, from left to right. Score: caught, of those that are not equivalent (`conformance/mutants/equivalent.ts` says why each is).',
        table(
          ['set', ...headings.slice(1)],
          rowsOf(({ set }) => set),
        ),
        table(
          ['operator', ...headings.slice(1)],
          rowsOf(({ operator }) => operator),
        ),
        table(['all', ...headings.slice(1)], [['all', ...counts(judged)]]),
        survivors.length > 0 ? `Survived:\n\n${list}` : 'None survived.',
      ].join('\n\n'),
      failing: score < 95 ? [`${score} % of the mutants are caught, and 95 % are the least`] : [],
      rows: judged.map(({ set, operator, id, by }) => ({ set, operator, id, by })),
    };
  },
};

function counts(own: readonly Judged[]): (string | number)[] {
  const of = (by: Judge) => own.filter((each) => each.by === by).length;
  return [
    own.length,
    of('tests'),
    of('check'),
    of('lint'),
    of('replay'),
    of('equivalent'),
    of('survived'),
    `${percent(own)} %`,
  ];
}

function percent(own: readonly Judged[]): number {
  const counted = own.filter(({ by }) => by !== 'equivalent');
  const caught = counted.filter(({ by }) => by !== 'survived').length;
  return counted.length === 0 ? 100 : Math.floor((caught * 1000) / counted.length) / 10;
}

function judgeSet({ name, directory, definitions, tests, manifests: given, standIns }: MutantSet): Judged[] {
  const build = (manifests: readonly Manifest[]) => {
    const all = withStandIns(manifests, definitions, standIns);
    return authoredFrom(all.manifests, all.definitions);
  };
  assertSound(name, directory, build(given), tests);
  const found = new Map<string, ReadonlySet<string>>();
  const before = (manifests: readonly Manifest[], of: string) => {
    const known = found.get(of) ?? new Set(lint(build(manifests)).map(keyOf));
    found.set(of, known);
    return known;
  };
  const all = mutantsOf(given, splitPolicies);
  return all.map((mutant, at) => {
    progress(name, at + 1, all.length);
    const own = mutant.manifest.kind === 'Template' ? mutant.manifest.name : undefined;
    // What another template allows has nothing to do with it.
    const alone = given.filter(
      (manifest) => manifest.kind !== 'Template' || own === undefined || manifest.name === own,
    );
    const manifests = alone.map((manifest) =>
      keyOfManifest(manifest) === keyOfManifest(mutant.manifest) ? mutant.manifest : manifest,
    );
    const by = judge(build(manifests), before(alone, own ?? ''), testsOf(tests, own));
    return { ...mutant, set: name, by: by ?? (isEquivalent(name, mutant) ? 'equivalent' : 'survived') };
  });
}

const isEquivalent = (set: string, { id }: Mutant) => equivalents.some((each) => each.set === set && each.id.test(id));

/** Those that are under this template; undefined: all of them. */
function testsOf(files: TestFile[], template: string | undefined): TestFile[] {
  if (template === undefined) return files;
  return files.map((file) => ({
    ...file,
    content: {
      ...file.content,
      tests: file.content.tests.filter((each) => (each.template ?? file.content.given?.template) === template),
    },
  }));
}

function judge(
  workspace: ReturnType<typeof authoredFrom>,
  before: ReadonlySet<string>,
  tests: TestFile[],
): Judge | undefined {
  if (isCaughtByTests(workspace, tests)) return 'tests';
  if (checkPolicies(workspace).length > 0) return 'check';
  if (lint(workspace).some((finding) => finding.severity !== 'info' && !before.has(keyOf(finding)))) return 'lint';
  return undefined;
}

function isCaughtByTests(workspace: ReturnType<typeof authoredFrom>, tests: TestFile[]): boolean {
  try {
    return runTests(workspace, tests, { explain: false }).results.some(({ passed }) => !passed);
  } catch (error) {
    // It does not even load, as the check says next.
    if ((error as { code?: unknown }).code === 'policy.invalid') return false;
    throw error;
  }
}

/** Those that nothing else catches, one after the other, over what agents did. */
async function judgeByReplay(set: string, story: Story, judged: Judged[]): Promise<void> {
  const left = judged.filter((each) => each.set === set && (each.by === 'survived' || each.by === 'equivalent'));
  const replay = await story();
  try {
    for (const [at, each] of left.entries()) {
      progress(`${set}, replay`, at + 1, left.length);
      if (await replay.differs(each.manifest)) each.by = 'replay';
    }
  } finally {
    await replay.close();
  }
}

/** What fails before anything is changed catches nothing. */
function assertSound(
  set: string,
  { problems }: Directory,
  workspace: ReturnType<typeof authoredFrom>,
  tests: TestFile[],
): void {
  const wrong = [...problems.map(({ message }) => message), ...checkPolicies(workspace).map(({ message }) => message)];
  const failed = wrong.length > 0 ? [] : runTests(workspace, tests).results.filter(({ passed }) => !passed);
  const said = [...wrong, ...failed.map(({ name, problem }) => `${name}: ${problem}`)];
  if (said.length > 0) throw new Error(`${set} is not sound as it is: ${said.slice(0, 5).join('; ')}`);
}

const keyOf = ({ code, kind, name, policy, path, message }: PolicyProblem) =>
  JSON.stringify([code, kind, name, policy, path, message]);
const keyOfManifest = (manifest: Manifest) =>
  `${manifest.kind}/${manifest.kind === 'Person' ? manifest.email : manifest.name}`;

function progress(what: string, done: number, of: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${what}: ${done} of ${of}${done === of ? '\n' : ''}`);
}
