import { join } from 'node:path';
import type { Manifest, PolicyProblem } from '@gatehouse/protocol';
import { table } from '../bench/measure.ts';
import {
  authoredFrom,
  checkPolicies,
  type Directory,
  lint,
  readDefinitions,
  readDirectory,
  readTestFiles,
  runTests,
  splitPolicies,
  type TestFile,
  withStandIns,
} from '../packages/server/src/authoring/index.ts';
import { equivalents } from './mutants/equivalent.ts';
import { type Mutant, mutantsOf } from './mutants/operators.ts';
import type { Part } from './part.ts';

const root = join(import.meta.dirname, '..');
/** Those that ship tests beside their policies. */
const sets = ['examples/quickstart'];

type Judge = 'check' | 'lint' | 'tests' | 'equivalent' | 'survived';
interface Judged extends Mutant {
  set: string;
  by: Judge;
}

/**
 * S6: faults put one at a time into every template, group, policy and tool setting of what ships tests. Caught: it does not load, the linter finds
 * something that it did not find before, or a test beside it fails.
 */
export const mutants: Part = {
  heading: 'Policy mutants (S6)',
  async run() {
    const judged: Judged[] = [];
    for (const set of sets) judged.push(...judgeSet(set));
    const rowsOf = (key: (each: Judged) => string) =>
      [...Map.groupBy(judged, key)].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, own]) => [name, ...counts(own)]);
    const survivors = judged.filter(({ by }) => by === 'survived');
    const score = percent(judged);
    const headings = ['', 'mutants', 'by check', 'by lint', 'by tests', 'equivalent', 'survived', 'score'];
    const list = survivors.map(({ set, id }) => `- ${set}: ${id}`).join('\n');
    return {
      versions: `${judged.length} mutants`,
      text: [
        'Score: caught, of those that are not equivalent (`conformance/mutants/equivalent.ts` says why each is).',
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
  return [own.length, of('check'), of('lint'), of('tests'), of('equivalent'), of('survived'), `${percent(own)} %`];
}

function percent(own: readonly Judged[]): number {
  const counted = own.filter(({ by }) => by !== 'equivalent');
  const caught = counted.filter(({ by }) => by !== 'survived').length;
  return counted.length === 0 ? 100 : Math.floor((caught * 1000) / counted.length) / 10;
}

function judgeSet(set: string): Judged[] {
  const directory = readDirectory(join(root, set));
  const definitions = readDefinitions(directory.path) ?? { kind: 'ToolDefinitions' as const, servers: {} };
  const tests = readTestFiles(directory.path, directory.tests);
  const given = directory.manifests.map(({ manifest }) => manifest);
  const build = (manifests: readonly Manifest[]) => {
    const all = withStandIns(manifests, definitions, tests.standIns);
    return authoredFrom(all.manifests, all.definitions);
  };
  const before = new Set(lint(build(given)).map(keyOf));
  assertSound(set, directory, build(given), tests.files);
  const all = mutantsOf(given, splitPolicies);
  return all.map((mutant, at) => {
    progress(set, at + 1, all.length);
    const manifests = given.map((manifest) =>
      keyOfManifest(manifest) === keyOfManifest(mutant.manifest) ? mutant.manifest : manifest,
    );
    return { ...mutant, set, by: judge(set, mutant, build(manifests), before, tests.files) };
  });
}

function judge(
  set: string,
  mutant: Mutant,
  workspace: ReturnType<typeof authoredFrom>,
  before: ReadonlySet<string>,
  tests: TestFile[],
): Judge {
  if (checkPolicies(workspace).length > 0) return 'check';
  if (lint(workspace).some((finding) => finding.severity !== 'info' && !before.has(keyOf(finding)))) return 'lint';
  if (runTests(workspace, tests, { explain: false }).results.some(({ passed }) => !passed)) return 'tests';
  return equivalents.some((each) => each.set === set && each.id.test(mutant.id)) ? 'equivalent' : 'survived';
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
