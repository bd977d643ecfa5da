import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { LocatedProblem } from '@gatehouse/protocol';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

let workspace: Workspace;
let directory: string;
before(async () => {
  workspace = await startWorkspace();
  directory = mkdtempSync(join(tmpdir(), 'apply-'));
  await workspace.apply(manifests());
});
after(async () => {
  await workspace.close();
  rmSync(directory, { recursive: true, force: true });
});

function gatehouse(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../packages/cli/src/main.ts'), ...args], {
    env: { ...process.env, NO_COLOR: '1', GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
}

/** @proves policy.problems */
test('what an apply is refused for is shown with file and line, whatever kind of manifest it is', async () => {
  writeFileSync(
    join(directory, 'refunds.cedar'),
    '// First.\nforbid (\n  principal,\n  action == Gatehouse::Action::"shop/refnd_order",\n  resource\n);\n',
  );
  const policy = await gatehouse('apply', '-f', directory);
  assert.equal(policy.code, 1, policy.stderr);
  assert.match(
    policy.stdout,
    /^refunds\.cedar:4:13: error: .*refnd_order.*\n {2}4 \| .*\n.*\^+\n {2}help: did you mean/m,
  );
  assert.match(policy.stderr, /Nothing was changed: 1 problem\./);

  rmSync(join(directory, 'refunds.cedar'));
  const budget = (name: string, limit: string) =>
    `kind: Budget\nname: ${name}\ntools: [shop/refund_order]\nlimit: ${limit}\n`;
  writeFileSync(
    join(directory, 'budgets.yaml'),
    `${budget('calls', '{ count: 5 }')}---\n${budget('sums', '{ sum: { argument: cents, max: 5 } }')}window: day\n`,
  );
  const { code, stderr } = await gatehouse('plan', '-f', directory, '--json');
  assert.equal(code, 1);
  const { problems } = (JSON.parse(stderr) as { error: { problems: LocatedProblem[] } }).error;
  assert.deepEqual(
    problems.map(({ file, at, name }) => [file, at?.line, name]),
    [
      ['budgets.yaml', 1, 'calls'],
      ['budgets.yaml', 9, 'sums'],
    ],
  );
  assert.match(problems[1]?.message ?? '', /no argument "cents"/);
});
