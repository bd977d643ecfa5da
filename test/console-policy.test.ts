import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Approval, ManifestInput } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { auditPages } from './support/page-audit.ts';
import { visitors } from './support/visitors.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

const owner = 'owner@example.test';
const browser = (await launchChromium()) as Browser;
const skip = browser ? false : 'Chromium is missing: see above';

/** The shop, by an operator who has said what its tools return and what their arguments stand for. */
function labelledShop(): ManifestInput {
  const shop = manifests().find(({ kind }) => kind === 'ToolServer') as Extract<ManifestInput, { kind: 'ToolServer' }>;
  const personal = { trust: 'untrusted', sensitive: ['personal'] } as const;
  const tools = { ...shop.tools };
  tools.get_ticket = { tier: 1, effects: ['read'], returns: { ...personal, sensitive: [...personal.sensitive] } };
  tools.post_message = {
    tier: 2,
    effects: ['send'],
    arguments: { channel: { role: 'recipient' }, text: { role: 'content' } },
  };
  return { ...shop, tools };
}

const budgets: ManifestInput[] = [
  {
    kind: 'Budget',
    name: 'orders-per-day',
    description: 'Reading orders',
    tools: ['shop/get_order'],
    per: [{ argument: 'order' }],
    window: 'day',
    zone: 'Europe/Berlin',
    limit: { count: 2 },
  },
  { kind: 'Budget', name: 'messages', effects: ['send'], window: { seconds: 3600 }, limit: { count: 50 } },
];

describe('policy in the console', { skip }, () => {
  let workspace: Workspace;
  let assets: ReturnType<typeof builtConsole>;
  let approver: SignedInPerson;
  const clients: Client[] = [];

  before(async () => {
    assets = builtConsole();
    workspace = await startWorkspace({ consoleDir: assets.directory });
    const shop = labelledShop();
    await workspace.apply([...manifests().filter(({ kind }) => kind !== 'ToolServer'), shop, ...budgets]);
    approver = await workspace.person('approver@example.test');
  });
  after(async () => {
    await browser.close();
    await Promise.allSettled(clients.map((client) => client.close()));
    await workspace.close();
    assets.remove();
  });

  const { open, signIn: signInAs } = visitors(browser, () => workspace);
  const signIn = (page: Page, email = owner) => signInAs(page, email);

  async function connect() {
    const agent = await workspace.agent('agent-a');
    const task = await agent.startTask({ template: 'all', intent: 'Answer ticket 304' });
    const client = new Client({ name: 'console-policy', version: '1' });
    await client.connect(createMcpTransport(task));
    clients.push(client);
    const call = (tool: string, args: Record<string, unknown>) =>
      client.callTool({ name: `shop__${tool}`, arguments: args });
    return { task, call };
  }

  async function pending(): Promise<Approval> {
    const { items } = await workspace.operator('GET /approvals', { query: { state: 'pending' } });
    assert.ok(items[0], 'an approval is pending');
    return items[0];
  }

  /** @proves console.why-held */
  test('a task’s page says why its call was held: what it has seen, which result brought it, what was endorsed', async () => {
    const { page, faults } = await open();
    await signIn(page);
    const { task, call } = await connect();
    await page.goto(`${workspace.url}/tasks/${task.id}`);
    await page.getByText('It has seen nothing that matters').waitFor();
    await page.getByText('No call was held for where its arguments came from').waitFor();

    // The page is open while it happens.
    assert.ok(!(await call('get_ticket', { ticket: 304 })).isError);
    const seen = page.getByRole('table', { name: 'What this task has seen' });
    const own = seen.getByRole('row').filter({ hasText: 'this task' });
    await own.filter({ hasText: 'untrusted content' }).waitFor();
    const personal = own.filter({ hasText: 'personal data' });
    await personal.waitFor();
    await call('post_message', { channel: 'finance', text: 'done' });
    const held = page.getByRole('table', { name: 'Calls that were held' });
    const row = held.getByRole('row').filter({ hasText: 'shop/post_message' });
    await row.getByText(/gatehouse\/flow#unknown-argument/).waitFor();
    await row.getByText('Waiting').waitFor();

    const { id } = await pending();
    await approver.approve(id, [{ role: 'recipient', value: 'finance' }]);
    const endorsed = page.getByRole('table', { name: 'Values that people endorsed for this task' });
    await endorsed
      .getByRole('row')
      .filter({ hasText: 'finance' })
      .filter({ hasText: 'approver@example.test' })
      .waitFor();

    await personal.getByRole('link', { name: 'the result of this action' }).click();
    await page.getByRole('heading', { level: 1, name: 'shop/get_ticket' }).waitFor();
    await page.goto(`${workspace.url}/tasks/${task.id}`);
    await page.getByRole('link', { name: 'shop/post_message' }).first().click();
    await page.getByRole('heading', { level: 1 }).waitFor();
    assert.match(page.url(), new RegExp(`/approvals/${id}$`));
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  /** @proves console.budgets */
  test('budgets show how full they are, for whom, and when they start again in their own zone', async () => {
    const { page, faults } = await open();
    await signIn(page, 'auditor@example.test');
    const { call } = await connect();
    for (const order of [1001, 1001, 1002]) await call('get_order', { order });
    await page.keyboard.press('g');
    await page.keyboard.press('y');
    await page.getByRole('navigation', { name: 'Policy' }).getByRole('link', { name: 'Budgets' }).click();
    const list = page.getByRole('table', { name: 'Budgets' });
    await list.getByRole('row').filter({ hasText: 'orders-per-day' }).getByText('100 %').waitFor();
    await page.getByRole('link', { name: 'orders-per-day' }).click();
    const used = page.getByRole('table', { name: 'What is used of orders-per-day' });
    const full = used.getByRole('row').filter({ hasText: 'order 1001' });
    await full.getByText('2 of 2 calls (100 %)').waitFor();
    await full.getByText(/00:00 Europe\/Berlin/).waitFor();
    await used.getByRole('row').filter({ hasText: 'order 1002' }).getByText('1 of 2 calls (50 %)').waitFor();
    // What is used while the page is open shows by itself.
    await call('get_order', { order: 1002 });
    await used.getByRole('row').filter({ hasText: 'order 1002' }).getByText('2 of 2 calls (100 %)').waitFor();
    await page.goto(`${workspace.url}/policy/budgets/nothing`);
    await page.getByRole('alert').filter({ hasText: 'no budget "nothing"' }).waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('every page can be read and operated by everybody', async () => {
    const task = (await workspace.operator('GET /tasks')).items[0]?.id ?? '';
    const paths = [`/tasks/${task}`, '/policy/budgets', '/policy/budgets/orders-per-day'];
    await auditPages({
      url: workspace.url,
      paths,
      narrow: { width: 390, height: 844 },
      async open(how) {
        const opened = await open(how);
        await signIn(opened.page);
        return opened;
      },
    });
  });
});
