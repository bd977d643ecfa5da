import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MeaningChange } from '@gatehouse/protocol';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

let workspace: Workspace;
let directory: string;
const cap = (amount: number) =>
  `@id("cap") forbid(principal, action == Gatehouse::Action::"shop/refund_order", resource) when { context.arguments.amount_cents > ${amount} };`;

before(async () => {
  workspace = await startWorkspace();
  directory = mkdtempSync(join(tmpdir(), 'diff-'));
  await workspace.apply(manifests({ policies: { refunds: cap(500) } }));
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

const changes = (stdout: string) =>
  (JSON.parse(stdout) as { changes: MeaningChange[] }).changes.map(({ kind, name, change, permits }) => [
    kind,
    name,
    change,
    permits,
  ]);

/** @proves policy.diff */
test('a directory is compared with what is in force: merged over it, and with --prune in place of it', async () => {
  writeFileSync(join(directory, 'refunds.cedar'), cap(200));
  const merged = await gatehouse('policy', 'diff', directory, '--live', '--json');
  assert.equal(merged.code, 1, merged.stderr);
  assert.deepEqual(changes(merged.stdout), [['Policy', 'refunds', 'changed', 'less']]);
  writeFileSync(join(directory, 'refunds.cedar'), cap(500));
  const same = await gatehouse('policy', 'diff', directory, '--live');
  assert.equal(same.code, 0, same.stdout);
  const whole = manifests({ policies: {} }).filter(({ kind }) => kind !== 'Policy');
  writeFileSync(join(directory, 'whole.yaml'), whole.map((each) => JSON.stringify(each)).join('\n---\n'));
  rmSync(join(directory, 'refunds.cedar'));
  assert.equal((await gatehouse('policy', 'diff', directory, '--live')).code, 0, 'what it does not have stays');
  const pruned = await gatehouse('policy', 'diff', directory, '--live', '--prune', '--json');
  assert.equal(pruned.code, 1, pruned.stderr);
  assert.deepEqual(changes(pruned.stdout), [['Policy', 'refunds', 'removed', 'more']]);
  writeFileSync(join(directory, 'refunds.cedar'), cap(500).replace('shop/refund_order', 'shop/refnd_order'));
  const broken = await gatehouse('policy', 'diff', directory, '--live');
  assert.equal(broken.code, 66, broken.stdout);
  assert.match(broken.stdout + broken.stderr, /refnd_order/);
});

test('two versions are compared, each with what is in force, and one that there is not is said so', async () => {
  await workspace.apply(manifests({ policies: { refunds: cap(700) } }));
  const { items } = await workspace.operator('GET /policy/versions');
  const newest = items[0]?.number as number;
  const two = await gatehouse('policy', 'diff', String(newest - 1), String(newest), '--json');
  assert.equal(two.code, 1, two.stderr);
  assert.deepEqual(changes(two.stdout), [['Policy', 'refunds', 'changed', 'more']]);
  const back = await gatehouse('policy', 'diff', String(newest - 1), '--live', '--json');
  assert.deepEqual(changes(back.stdout), [['Policy', 'refunds', 'changed', 'less']]);
  assert.equal((await gatehouse('policy', 'diff', String(newest), '--live')).code, 0);
  const none = await gatehouse('policy', 'diff', '4711', '--live');
  assert.ok(none.code !== null && none.code > 1, String(none.code));
  assert.match(none.stderr, /no version 4711/);
});
