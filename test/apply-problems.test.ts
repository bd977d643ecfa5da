import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { LocatedProblem, PlanWarning } from '@gatehouse/protocol';
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

/** @proves apply.secrets */
test('a plan and an apply warn of secrets that are named and not stored, with the command that stores each, and do their work', async () => {
  rmSync(join(directory, 'budgets.yaml'));
  writeFileSync(
    join(directory, 'orders.yaml'),
    `kind: CredentialProvider
name: orders
environments: [production]
from:
  type: postgres
  url: postgres://broker@db.example.test:5433/shop
  secret: orders-broker
  grants: [{ tables: [orders], privileges: [SELECT] }]
---
kind: Channel
name: hooks
webhook: { url: 'https://hook.example.test/in', secret: hook-signs, answerSecret: hook-answers }
`,
  );
  const commands = [
    'gatehouse secrets set orders-broker --for postgres://db.example.test:5433',
    'gatehouse secrets set hook-signs --for https://hook.example.test',
    `gatehouse secrets set hook-answers --for ${new URL(workspace.url).origin}`,
  ];
  const planned = await gatehouse('plan', '-f', directory);
  assert.equal(planned.code, 0, planned.stderr);
  assert.match(
    planned.stderr,
    /! CredentialProvider orders, from\.secret: There is no stored secret "orders-broker" yet/,
  );
  for (const command of commands) assert.ok(planned.stderr.includes(command), planned.stderr);

  await workspace.operator('PUT /secrets/:name', {
    params: { name: 'orders-broker' },
    body: { value: 'canary-of-orders-broker', origins: ['postgres://db.example.test:5433'] },
  });
  const { code, stdout } = await gatehouse('apply', '-f', directory, '--json');
  assert.equal(code, 0, stdout);
  const { warnings } = JSON.parse(stdout) as { warnings: PlanWarning[] };
  assert.deepEqual(
    warnings.map(({ kind, path, command }) => [kind, path, command]),
    [
      ['Channel', 'webhook.secret', commands[1]],
      ['Channel', 'webhook.answerSecret', commands[2]],
    ],
  );
  // Whoever names it is known, whatever kind it is of: it is not taken away beneath them.
  for (const name of ['hook-signs', 'orders-broker']) {
    await workspace.operator('PUT /secrets/:name', {
      params: { name },
      body: { value: `canary-of-${name}`, origins: ['https://hook.example.test'] },
    });
    await assert.rejects(workspace.operator('DELETE /secrets/:name', { params: { name } }), { status: 409 });
  }
});

/** @proves apply.secrets */
test('no command is given to paste with an address in it that a shell would act on', async () => {
  const hostile = ['x;id;.evil.example', '$(id).evil.example', '`id`.evil.example', "it's.evil.example"];
  writeFileSync(
    join(directory, 'orders.yaml'),
    hostile
      .map(
        (host, at) => `kind: Channel
name: hook-${at}
webhook: { url: "https://${host}/in", secret: hostile-${at}, answerSecret: answers-${at} }
`,
      )
      .join('---\n'),
  );
  const { code, stderr } = await gatehouse('plan', '-f', directory);
  assert.equal(code, 0, stderr);
  for (const at of hostile.keys()) {
    assert.ok(stderr.includes(`There is no stored secret "hostile-${at}" yet`), stderr);
    assert.ok(stderr.includes(`gatehouse secrets set answers-${at} --for ${new URL(workspace.url).origin}`), stderr);
    assert.ok(!stderr.includes(`set hostile-${at}`), stderr);
  }
  assert.equal(stderr.split('No command is given to paste').length - 1, hostile.length, stderr);
});
