import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { checkDirectory, lintDirectory, readDirectory, runTests } from './index.ts';

const root = join(import.meta.dirname, '../../../..');
const nothing = { kind: 'ToolDefinitions' as const, servers: {} };

/** Decided by no test of its own: what it forbids, no template of the pack allows. It guards what a workspace adds. */
const guards = ['customer-data-stays#customer-data-stays'];

/** @proves policy.shipped */
for (const path of [
  ...readdirSync(join(root, 'packs'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(root, 'packs', name)),
  join(root, 'packages/server/src/policy'),
])
  test(`${relative(root, path)} does what its tests say, all of it is tested, and the linter finds nothing`, () => {
    const directory = readDirectory(path);
    const { problems, workspace, tests } = checkDirectory(directory, nothing);
    assert.deepEqual(
      problems.filter(({ severity }) => severity === 'error').map(({ file, message }) => `${file}: ${message}`),
      [],
    );
    assert.ok(workspace);
    const { results, coverage } = runTests(workspace, tests);
    assert.ok(results.length > 30);
    assert.deepEqual(
      results.filter(({ passed }) => !passed).map(({ name, tool, problem }) => `${name} (${tool}): ${problem}`),
      [],
    );
    // Tools that run alone are for the tests of written policies.
    const undecided = coverage.filter(({ policy, applied }) => applied === 0 && !policy.endsWith('_alone'));
    assert.deepEqual(
      undecided.map(({ policy }) => policy).filter((policy) => !guards.includes(policy)),
      [],
    );
    assert.deepEqual(
      lintDirectory(directory, workspace)
        .filter(({ severity }) => severity !== 'info')
        .map(({ code, kind, name }) => `${code} ${kind} ${name}`),
      [],
    );
  });
