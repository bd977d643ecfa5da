import type {
  Decision,
  Expectation,
  PolicyCoverage,
  PolicyTestFile,
  PolicyTestReport,
  PolicyTestResult,
  SupposedCall,
} from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import {
  compilePolicies,
  createTracer,
  type PolicySet,
  readPolicies,
  subjectsIn,
  type TracedSide,
  type Tracer,
} from '../policy/index.ts';
import { explanationLines } from './explain.ts';
import { decideSupposed, suppose } from './suppose.ts';
import type { TestFile } from './test-files.ts';
import type { Authored } from './workspace.ts';

/** Of all tests that say nothing of the time. */
const DEFAULT_NOW = Date.UTC(2026, 0, 15, 12);

type Test = PolicyTestFile['tests'][number];

/** Runs all tests of a directory against its own policies, which have been checked. */
export function runTests(
  workspace: Authored,
  files: readonly TestFile[],
  { explain = true }: { explain?: boolean } = {},
): PolicyTestReport {
  const set = compilePolicies(workspace, { validated: true });
  const tracer = explain ? createTracer(workspace) : undefined;
  const coverage = emptyCoverage(workspace, files);
  const results = files.flatMap(({ file, content, lineOf }) =>
    content.tests.flatMap((test, at) =>
      (test.tools ?? [test.tool ?? '']).map((tool) => {
        const call = callOf(content, test, tool);
        const base = { file, line: lineOf(at), name: test.name, tool };
        return runOne({ workspace, set, tracer, coverage }, base, call, expected(test.expect));
      }),
    ),
  );
  return { results, coverage: [...coverage.values()] };
}

interface Bench {
  workspace: Authored;
  set: PolicySet;
  /** Left out: only whether each passes. */
  tracer: Tracer | undefined;
  coverage: Map<string, PolicyCoverage>;
}

function runOne(
  { workspace, set, tracer, coverage }: Bench,
  base: Pick<PolicyTestResult, 'file' | 'line' | 'name' | 'tool'>,
  call: SupposedCall,
  wanted: Exclude<Expectation, string>,
): PolicyTestResult {
  let decision: Decision;
  let sides: TracedSide[] = [];
  try {
    const supposed = suppose(workspace, call, DEFAULT_NOW);
    decision = decideSupposed(set, supposed);
    if (tracer && 'request' in supposed) sides = tracer.trace(supposed.request);
  } catch (error) {
    if (!(error instanceof GatehouseError) || error.kind !== 'bad-request') throw error;
    return { ...base, passed: false, expected: wanted, got: null, problem: error.message, explanation: [] };
  }
  count(coverage, sides, decision);
  const problem = difference(wanted, decision);
  const { effect, tier, code, reason, policies } = decision;
  return {
    ...base,
    passed: problem === null,
    expected: wanted,
    got: { decision: effect, tier, code, reason, policies },
    problem,
    explanation: problem === null ? [] : explanationLines(sides),
  };
}

/** A test's own words before those that hold for its file. Parameters are those of a template: a test with its own has its own. */
function callOf({ given = {} }: PolicyTestFile, test: Test, tool: string): SupposedCall {
  const { name: _, tools: __, expect: ___, ...own } = test;
  const isOther = own.template !== undefined && own.template !== given.template;
  return {
    ...given,
    ...own,
    parameters: { ...(isOther ? {} : given.parameters), ...own.parameters },
    situation: { ...given.situation, ...own.situation },
    tool,
  };
}

function expected(expectation: Expectation): Exclude<Expectation, string> {
  return typeof expectation === 'string' ? { decision: expectation } : expectation;
}

function difference(wanted: Exclude<Expectation, string>, got: Decision): string | null {
  const differences: string[] = [];
  if (wanted.decision !== got.effect) differences.push(`${wanted.decision} was expected, and it is ${got.effect}`);
  if (wanted.tier !== undefined && wanted.tier !== got.tier)
    differences.push(`tier ${wanted.tier} was expected, and it is ${got.tier}`);
  if (wanted.code !== undefined && wanted.code !== got.code)
    differences.push(`code ${wanted.code} was expected, and it is ${got.code}`);
  for (const policy of wanted.policies ?? [])
    if (!got.policies.includes(policy))
      differences.push(`it was expected to rest on ${policy}, and rests on ${got.policies.join(', ') || 'no policy'}`);
  const [asked, rules] = [wanted.approvers?.toSorted(), got.obligations?.approvers ?? []];
  if (asked !== undefined && asked.join() !== rules.join())
    differences.push(
      `the rules ${asked.join(', ') || '(none)'} were expected, and it names ${rules.join(', ') || 'none'}`,
    );
  if (wanted.reason !== undefined && !got.reason.includes(wanted.reason))
    differences.push(`its reason was expected to say "${wanted.reason}"`);
  return differences.length > 0 ? `${differences.join('; ')}. ${got.code}: ${got.reason}` : null;
}

/** Only what somebody has written: neither what is built in, nor what a template implies for a server that it names. */
function emptyCoverage(workspace: Authored, files: readonly TestFile[]): Map<string, PolicyCoverage> {
  const standIns = files.flatMap(({ content }) => Object.keys(content.standInTemplates ?? {}));
  const isStandIn = (id: string) => standIns.some((name) => id.startsWith(`template:${name}[`));
  const { policies } = readPolicies(workspace, subjectsIn(workspace), { validated: true });
  return new Map(
    [...policies.keys()]
      .filter((id) => !id.includes('[-1]') && !id.startsWith('gatehouse/') && !isStandIn(id))
      .map((policy) => [policy, { policy, applied: 0, heldBack: 0 }]),
  );
}

/** A policy is tried where it decides: where a forbid refuses anyway, a permit that applies has shown nothing. */
function count(coverage: Map<string, PolicyCoverage>, sides: readonly TracedSide[], decision: Decision): void {
  for (const { policies } of sides)
    for (const { id, applies } of policies) {
      const of = coverage.get(id);
      if (!of) continue;
      if (applies && decision.policies.includes(id)) of.applied++;
      else if (!applies) of.heldBack++;
    }
}
