import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Manifest, ManifestInput } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { manifests } from '../../../test/support/fixtures.ts';
import { startWorkspace } from '../../../test/support/workspace.ts';
import { createCli, scratch } from './support.ts';

const packs = ['default', 'coding', 'support', 'automation', 'operations'];
const labels: Record<string, object> = {
  get_order: { tier: 1, effects: ['read'], domain: 'records', arguments: { order: { role: 'identifier' } } },
  list_orders: { tier: 1, effects: ['read'], domain: 'records' },
  post_message: { tier: 2, effects: ['send'], domain: 'messages' },
  refund_order: { tier: 3, effects: ['pay'], domain: 'payments' },
  export_customers: { tier: 3, effects: ['export', 'send'], domain: 'records' },
  drop_table: { tier: 4, effects: ['delete', 'administer'], domain: 'records' },
};

/** Every tool of the shop, labelled, and no template but those of packs. */
function shop(templates: string[]): ManifestInput[] {
  return manifests().flatMap((each): ManifestInput[] => {
    if (each.kind === 'Template') return [];
    if (each.kind === 'Blueprint') return [{ ...each, templates }];
    return [each.kind === 'ToolServer' ? { ...each, tools: labels as never } : each];
  });
}

test('packs are listed and shown, and a name that is none is answered with those there are', async (t) => {
  const { run } = createCli(scratch(t));
  const listed = (await run('pack', '--json')).json<{ items: { name: string; templates: number }[] }>();
  assert.deepEqual(
    listed.items.map(({ name }) => name),
    packs,
  );
  const shown = (await run('pack', 'show', 'default', '--json')).json<{
    templates: { name: string }[];
    tiers: { tier: number; examples: string[] }[];
  }>();
  assert.ok(shown.templates.some(({ name }) => name === 'reading'));
  assert.deepEqual(
    shown.tiers.map(({ tier, examples }) => [tier, examples.length > 0]),
    [1, 2, 3, 4].map((tier) => [tier, true]),
  );
  const unknown = await run('pack', 'show', 'nothing');
  assert.equal(unknown.code, 64);
  assert.match(unknown.stderr, /There are default, coding, support, automation, operations/);
});

test('a pack is written once, and what was changed is only replaced when that is said', async (t) => {
  const directory = scratch(t);
  const { run } = createCli(directory);
  assert.equal((await run('pack', 'add', 'support')).code, 64, 'where to was not said');
  const { files } = (await run('pack', 'add', 'support', '-o', 'workspace', '--json')).json<{ files: string[] }>();
  assert.deepEqual(readdirSync(join(directory, 'workspace', 'support')).length, files.length);
  const again = await run('pack', 'add', 'support', '-o', 'workspace');
  assert.equal(again.code, 1);
  assert.match(again.stderr, /there already; --force/);
  assert.equal((await run('pack', 'add', 'support', '-o', 'workspace', '--force')).code, 0);
});

/** @proves packs.by-kind */
test('all packs apply together, at most 40 templates that name no tool; a task under one has what its kind needs and no more', async (t) => {
  const workspace = await startWorkspace();
  t.after(() => workspace.close());
  const directory = scratch(t);
  const { run } = createCli(directory, { GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir });
  await workspace.apply(shop([]));
  for (const pack of packs) assert.equal((await run('pack', 'add', pack, '--apply')).code, 0, pack);
  const { manifests: stored } = await workspace.operator('GET /export');
  const templates = (stored as Manifest[]).filter((each) => each.kind === 'Template');
  assert.ok(templates.length > 20 && templates.length <= 40, `${templates.length} templates`);
  assert.ok(templates.every(({ allow }) => allow.every(({ tools, effects }) => tools === undefined && effects)));

  await workspace.apply(shop(['reading', 'paying', 'messaging', 'errands', 'refund']));
  const agent = await workspace.agent('agent-a');
  const usable = async (template: string, parameters = {}) => {
    const task = await agent.startTask({ template, intent: 'test', parameters });
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
    const { tools } = await client.listTools();
    await client.close();
    return tools.map(({ name }) => name.replace('shop__', '')).sort();
  };
  assert.deepEqual(await usable('reading'), ['get_order', 'list_orders']);
  assert.deepEqual(await usable('paying'), ['refund_order']);
  assert.deepEqual(await usable('messaging'), ['get_order', 'list_orders', 'post_message']);
  // The template's order is a text, and this shop counts orders: what a condition can't hold for is not allowed.
  assert.deepEqual(await usable('refund', { customer: 'z', orderId: '1042' }), ['list_orders']);
  assert.ok(!(await usable('errands')).includes('drop_table'), 'the widest kind has nothing of tier 4');
});

test('every file of a pack is named in the index, and every pack of the index is there', () => {
  const root = join(import.meta.dirname, '..', '..', '..', 'packs');
  const index = JSON.parse(readFileSync(join(root, 'packs.json'), 'utf8')) as { packs: { name: string }[] };
  const named = index.packs.map(({ name }) => name).sort();
  const there = readdirSync(root).filter((each) => existsSync(join(root, each, 'templates.yaml')));
  assert.deepEqual(named, there.sort());
});
