import { writeFile } from 'node:fs/promises';
import type { PolicyCoverage, PolicyTestResult } from '@gatehouse/protocol';
import { exitCodes } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { toJunit } from '../junit.ts';
import { clean, type Output } from '../output.ts';
import { counted, printProblems } from '../policy-problems.ts';
import type { Run } from '../verb.ts';
import { authoring, type DirectoryOptions, openDirectory } from './policy-directory.ts';

interface Options extends DirectoryOptions {
  junit?: string;
  minCoverage?: string;
}

/** Exit code 1 when a test fails, or fewer policies are decided by tests than `--min-coverage` wants. */
export const test: Run<Options> = async ({ args: [path = '.'], options, out }) => {
  const least = leastCoverage(options.minCoverage);
  const { directory, definitions } = await openDirectory(path, options);
  const { checkDirectory, runTests } = await authoring();
  const { problems, workspace, tests } = checkDirectory(directory, definitions);
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0 || !workspace) {
    if (out.json) out.printJson({ ok: false, problems: errors });
    else {
      printProblems(errors, out);
      out.note('Nothing was tested: this has to be put right first.');
    }
    return exitCodes.failed;
  }
  if (tests.length === 0)
    throw new CliFailure(
      'noInput',
      'tests.none',
      `There are no tests in ${path}: they are in files called *.test.yaml.`,
    );
  const { results, coverage } = runTests(workspace, tests);
  const failed = results.filter(({ passed }) => !passed);
  const percent = coverageOf(coverage);
  const ok = failed.length === 0 && percent >= least;
  if (options.junit !== undefined) await writeFile(options.junit, toJunit(results));
  if (out.json) out.printJson({ ok, coveragePercent: percent, results, coverage });
  else print({ results, failed, coverage, percent, least }, out);
  return ok ? exitCodes.ok : exitCodes.failed;
};

function leastCoverage(given: string | undefined): number {
  if (given === undefined) return 0;
  const least = Number(given);
  if (/^\d+$/.test(given) && least <= 100) return least;
  throw new CliFailure('usage', 'option.invalid', `--min-coverage must be a whole number up to 100, not "${given}".`);
}

const isCovered = ({ applied }: PolicyCoverage) => applied > 0;

function coverageOf(coverage: readonly PolicyCoverage[]): number {
  if (coverage.length === 0) return 100;
  return Math.floor((coverage.filter(isCovered).length * 100) / coverage.length);
}

interface Printed {
  results: readonly PolicyTestResult[];
  failed: readonly PolicyTestResult[];
  coverage: readonly PolicyCoverage[];
  percent: number;
  least: number;
}

function print({ results, failed, coverage, percent, least }: Printed, out: Output): void {
  out.table(
    ['', 'TEST', 'TOOL', 'DECISION', 'TIER', 'CODE'],
    results.map(({ passed, name, tool, got }) => [
      passed ? 'ok' : 'FAIL',
      name,
      tool,
      got?.decision ?? '',
      got ? String(got.tier) : '',
      got?.code ?? '',
    ]),
  );
  for (const { file, line, name, tool, problem, explanation } of failed) {
    out.print('');
    out.print(out.style('red', clean(`${file}:${line}: ${name} (${tool})`)));
    out.print(`  ${clean(problem ?? '')}`);
    for (const each of explanation) out.print(`    ${clean(each)}`);
  }
  out.print('');
  const uncovered = coverage.filter((each) => !isCovered(each)).map(({ policy }) => policy);
  if (uncovered.length > 0) {
    out.print('Decided by no test:');
    for (const policy of uncovered) out.print(`  ${clean(policy)}`);
  }
  const of = `${counted(results.length - failed.length, 'test')} passed, ${failed.length} failed`;
  out.print(
    `${of}; ${coverage.length - uncovered.length} of ${coverage.length} policies (${percent} %) decided by a test.`,
  );
  if (percent < least) out.print(`At least ${least} % were wanted.`);
}
