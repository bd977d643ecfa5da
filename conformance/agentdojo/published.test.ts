import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { type Gate, startGate } from './gate.ts';
import { isComplete, isContained, stateAfter } from './judge.ts';
import { type Labels, loadLabels, readsOnly } from './labels.ts';
import { draw } from './measure.ts';
import { NOW } from './mock/environment.ts';
import { fromRecorded, mockTool } from './mock/tools.ts';
import { runAttack, runBenign } from './replay.ts';
import { loadPairs, loadSuite, suiteNames } from './suite.ts';

/** AgentDojo's suites (PyPI: agentdojo, MIT), made into files and read from GATEHOUSE_DATA; not shipped here. */
const directory = join(process.env.GATEHOUSE_DATA ?? '', 'agentdojo');
const names = process.env.GATEHOUSE_DATA === undefined ? [] : suiteNames(directory);
const missing =
  names.length === 0 &&
  'AgentDojo’s suites are not at GATEHOUSE_DATA/agentdojo: NAME.json, NAME.environment.json and pairs.jsonl, made from PyPI’s agentdojo';

describe('AgentDojo', { skip: missing }, () => {
  const suites = names.map((name) => loadSuite(directory, name));

  test('each tool of a ground truth answers what it was recorded to answer', () => {
    for (const suite of suites) {
      const labels = loadLabels(suite);
      for (const { id, calls, results } of suite.userTasks) {
        const environment = structuredClone(suite.environment);
        for (const [at, { tool, args }] of calls.entries()) {
          const result = mockTool(suite, tool, readsOnly(labels.get(tool)))(environment, args);
          const recorded = results[at] ?? '';
          const same = result === recorded || isDeepStrictEqual(comparable(result), comparable(fromRecorded(recorded)));
          assert.ok(same, `${suite.name} ${id} ${tool}: ${JSON.stringify(result)}\n${recorded}`);
        }
      }
    }
  });

  test('an attack that nothing stops is never taken for contained, and a benign task that lost a call never for complete', () => {
    for (const suite of suites) {
      const labels = loadLabels(suite);
      const taken = loadPairs(suite).filter(
        ({ calls, reachesGoal }) =>
          reachesGoal && isContained(suite, labels, calls.map(ran), stateAfter(suite, labels, calls)),
      );
      assert.deepEqual(taken, []);
      for (const { calls } of suite.userTasks) {
        const without = calls.filter(({ tool }) => readsOnly(labels.get(tool)));
        const state = stateAfter(suite, labels, without);
        const changes = !isDeepStrictEqual(stateAfter(suite, labels, calls), state);
        assert.equal(isComplete(suite, labels, calls, state), !changes);
      }
    }
  });

  test('templates, packs, labels, kinds and policies name no suite, task, person or value of the data', () => {
    const root = join(import.meta.dirname, '..', '..');
    const files = [
      'packs/**/*',
      'conformance/agentdojo/labels/*.yaml',
      'conformance/agentdojo/kinds.ts',
      'packages/server/src/policy/**/!(*.test).ts',
    ].flatMap((pattern) => globSync(pattern, { cwd: root, exclude: ['**/testing/**'] }));
    const texts = files
      .filter((file) => /\.[a-z]+$/.test(file))
      .map((file) => [file, readFileSync(join(root, file), 'utf8')] as const);
    assert.ok(texts.length > 20);
    const values = new Set(
      suites.flatMap(({ environment, injectionTasks }) => valuesOf([environment, injectionTasks])),
    );
    for (const suite of suites) values.add(`suite ${suite.name}`);
    assert.ok(values.size > 50);
    for (const [file, text] of texts)
      for (const value of values) assert.ok(!text.includes(value), `${file} has ${value}`);
  });

  for (const suite of suites) {
    describe(`${suite.name} through the gate, a sample`, () => {
      const labels: Labels = loadLabels(suite);
      let gate: Gate;
      before(async () => {
        gate = await startGate(suite, labels);
      });
      after(() => gate.close());

      /** @proves flow.agentdojo */
      test('benign tasks complete, nothing is refused, and most are never interrupted', async () => {
        const sample = draw(suite.userTasks, 6, 7);
        let interrupted = 0;
        for (const user of sample) {
          const { steps, state } = await runBenign(gate, suite, user);
          assert.deepEqual(
            steps.filter(({ outcome }) => outcome !== 'ran'),
            [],
            user.id,
          );
          assert.ok(isComplete(suite, labels, user.calls, state), user.id);
          if (steps.some(({ approvals }) => approvals > 0)) interrupted++;
        }
        assert.ok(interrupted <= sample.length / 2, `${interrupted} of ${sample.length}`);
      });

      /** @proves flow.agentdojo */
      test('attacks leave no effect while nobody approves', async () => {
        const real = loadPairs(suite).filter(({ reachesGoal }) => reachesGoal);
        for (const pair of draw(real, 8, 7)) {
          const { steps, state, template } = await runAttack(gate, suite, pair);
          assert.ok(
            isContained(suite, labels, steps, state),
            `${pair.user.id} × ${pair.injection.id} under ${template}: ${JSON.stringify(steps)}`,
          );
        }
      });
    });
  }
});

const ran = <T extends object>(call: T) => ({ ...call, ran: true });

/** Without the order of lists, the line breaks that YAML folds, how Python writes a fraction, and the time at which it was recorded. */
function comparable(value: unknown, key = ''): unknown {
  if (Array.isArray(value))
    return value.map((each) => comparable(each)).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (typeof value === 'string') {
    if ((key === 'timestamp' || key === 'last_modified') && (value === NOW || value > '2025')) return 'now';
    return value
      .replace(/\s+/g, ' ')
      .replace(/(\d)\.0\b/, '$1')
      .trim();
  }
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, comparable(member, name)]));
}

/** What identifies somebody or something: addresses, account numbers, file names. */
function valuesOf(data: unknown): string[] {
  const text = JSON.stringify(data);
  return [
    ...text.matchAll(/[a-z0-9._-]+@[a-z0-9-]+\.[a-z.]+/gi),
    ...text.matchAll(/\b[A-Z]{2}\d{10,}\b/g),
    ...text.matchAll(/\b[\w-]{5,}\.(?:docx|xlsx|txt)\b/g),
  ].map(([value]) => value);
}
