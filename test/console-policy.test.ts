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

const limits = `// Orders that are closed stay closed.
@id("closed")
@reason("the order is closed")
forbid (principal, action == Gatehouse::Action::"shop/get_order", resource)
when { context.arguments.order == 1042 };
`;

const people: ManifestInput[] = [
  { kind: 'Person', email: 'second@example.test', displayName: 'Second', roles: ['security'] },
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
    const rest = manifests({ production: true, policies: { limits } }).filter(({ kind }) => kind !== 'ToolServer');
    await workspace.apply([...rest, shop, ...budgets, ...people]);
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

  const start = async () =>
    (await workspace.agent('agent-a')).startTask({ template: 'all', intent: 'Answer ticket 304' });

  async function connect(running?: Awaited<ReturnType<typeof start>>) {
    const task = running ?? (await start());
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

    const { id, origins } = await pending();
    await approver.approve(
      id,
      origins.flatMap((origin) => origin.held),
    );
    const endorsed = page.getByRole('table', { name: 'Values that people endorsed for this task' });
    await endorsed
      .getByRole('row')
      .filter({ hasText: 'finance' })
      .filter({ hasText: 'approver@example.test' })
      .waitFor();

    await personal.getByRole('link', { name: 'the result of this action' }).click();
    await page.getByRole('heading', { level: 1, name: 'shop/get_ticket' }).waitFor();
    await page.goto(`${workspace.url}/tasks/${task.id}`);
    await held.getByRole('link', { name: 'shop/post_message' }).click();
    await page.waitForURL(`**/approvals/${id}`);
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

  /** @proves console.task-suspended */
  test('a task is suspended with a reason, its calls are refused, and it goes on when a person says so', async () => {
    const { page, faults } = await open();
    await signIn(page);
    const { task, call } = await connect();
    await page.goto(`${workspace.url}/tasks/${task.id}`);
    await page.getByRole('button', { name: 'Suspend…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Suspend this task' });
    assert.ok(await dialog.getByRole('button', { name: 'Suspend' }).isDisabled(), 'a reason is needed');
    await dialog.getByLabel(/^Why/).fill('looks odd');
    await page.keyboard.press('Enter');
    await page.getByText('owner@example.test: “looks odd”').waitFor();
    assert.equal((await call('get_order', { order: 1003 }).catch(() => ({ isError: true }))).isError, true);
    await page.getByRole('button', { name: 'Let it go on' }).click();
    await page.getByRole('button', { name: 'Suspend…' }).waitFor();
    // Its session was closed meanwhile: it connects again, in the same task and with the same token.
    const again = await connect(task);
    assert.ok(!(await again.call('get_order', { order: 1003 })).isError);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  /** @proves console.playground */
  test('a call that nobody makes is decided and explained clause by clause, and leaves no trace', async () => {
    const { page, faults } = await open();
    await signIn(page, 'auditor@example.test');
    const actions = async () =>
      (await workspace.operator('GET /actions', { query: { agent: 'agent-a' } })).items.length;
    const before = await actions();
    await page.goto(`${workspace.url}/policy/playground`);
    const choose = async (field: string, option: string) => {
      await page.getByRole('combobox', { name: field }).fill(option);
      await page.getByRole('option', { name: option, exact: true }).click();
    };
    await choose('Agent', 'agent-a');
    await choose('Template', 'all');
    await choose('Tool', 'shop/get_order');
    const args = page.getByLabel('Arguments (JSON)');
    await args.fill('[');
    await page.getByText('It has to be a JSON object').waitFor();
    assert.ok(await page.getByRole('button', { name: 'Decide' }).isDisabled());
    await args.fill('{"order": 1042}');
    await page.getByRole('button', { name: 'Decide' }).click();
    await page.getByRole('status').getByText('Refused', { exact: true }).waitFor();
    const closed = page.getByRole('article', { name: 'limits#closed' });
    await closed.getByText('forbids', { exact: true }).waitFor();
    await closed.getByRole('img', { name: 'Holds' }).waitFor();
    await closed.getByText('1042').first().waitFor();

    await args.fill('{"order": 1001}');
    await page.getByRole('button', { name: 'Decide' }).click();
    await page.getByRole('status').getByText('Allowed', { exact: true }).waitFor();
    await closed.getByRole('img', { name: 'Does not hold' }).waitFor();

    await choose('Tool', 'shop/post_message');
    await args.fill('{"channel": "finance", "text": "x"}');
    await page.getByRole('combobox', { name: 'Where its arguments come from' }).click();
    await page.getByRole('option', { name: 'untrusted content' }).click();
    await page.getByRole('button', { name: 'Decide' }).click();
    await page.getByRole('status').getByText('Needs approval', { exact: true }).waitFor();
    await page.getByRole('article', { name: 'gatehouse/flow#untrusted-argument' }).getByText('raises').waitFor();
    assert.equal(await actions(), before);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  /** @proves console.policy-proposed */
  test('a policy is edited, checked as it is typed, rehearsed on what was recorded, and a relaxation ships with another person’s passkey', async () => {
    const { call } = await connect();
    await call('get_order', { order: 1042 }).catch(() => undefined);
    await call('get_order', { order: 1004 });
    // Whose passkey was there before the change was proposed.
    const other = await open();
    await signIn(other.page, 'second@example.test');
    const { page, faults } = await open();
    await signIn(page);
    await page.goto(`${workspace.url}/policy/files`);
    await page.getByRole('link', { name: 'gatehouse/flow' }).click();
    await page.getByText('built in', { exact: true }).first().waitFor();
    await page.getByText('untrusted-argument').first().waitFor();
    assert.equal(await page.getByRole('button', { name: 'Edit a copy' }).count(), 0);
    await page.goto(`${workspace.url}/policy/files/limits`);
    await page.getByRole('button', { name: 'Edit a copy' }).click();
    const field = page.getByRole('textbox', { name: 'Text of limits' });
    await page.getByText('Nothing is wrong with it.').waitFor();
    const propose = page.getByRole('button', { name: 'Propose' });
    assert.ok(await propose.isDisabled(), 'nothing has changed');

    await field.fill(limits.replace('== 1042', '== "many"'));
    const problems = page.getByRole('list', { name: 'Problems' });
    await problems.getByText('error').first().waitFor();
    assert.ok(await propose.isDisabled(), 'it is wrong');
    await problems
      .getByRole('button', { name: /^line 5/ })
      .first()
      .click();
    const selected = () =>
      field.evaluate((area: HTMLTextAreaElement) => area.value.slice(area.selectionStart, area.selectionEnd));
    assert.notEqual(await selected(), '');

    // What tightens is in force at once …
    const more = `${limits}
@id("closed-too")
forbid (principal, action == Gatehouse::Action::"shop/get_order", resource)
when { context.arguments.order == 1004 };
`;
    await field.fill(more);
    await page.getByText('Nothing is wrong with it.').waitFor();
    await page.getByRole('button', { name: 'Rehearse on the last 30 days' }).click();
    const stops = page.getByRole('region', { name: 'Would newly stop' });
    await stops
      .getByText(/limits#closed-too/)
      .first()
      .waitFor();
    await stops.getByRole('link', { name: 'shop/get_order' }).first().waitFor();
    await propose.click();
    await page.getByRole('alert').filter({ hasText: 'In force' }).waitFor();
    await assert.rejects(async () => {
      const answer = await call('get_order', { order: 1004 });
      if (answer.isError) throw new Error('refused');
    });

    // … and what relaxes waits for somebody else.
    await page.getByRole('button', { name: 'Edit a copy' }).click();
    await field.fill(more.replace('1042', '1041'));
    await page.getByText('Nothing is wrong with it.').waitFor();
    await page.getByLabel(/^Why/).fill('1042 is open again');
    await propose.click();
    await page.getByRole('heading', { level: 1, name: 'Proposal 1' }).waitFor();
    assert.ok(await page.getByRole('button', { name: 'Ship with passkey' }).isDisabled(), 'its author may not');
    await page.getByText(/somebody else ships it/).waitFor();
    const cedar = async () =>
      (await workspace.operator('GET /policies/:name', { params: { name: 'limits' } })).cedar.includes('1041');
    assert.equal(await cedar(), false);

    await other.page.goto(`${workspace.url}/policy/proposals`);
    await other.page.getByRole('link', { name: 'Proposal 1' }).click();
    const runs = other.page.getByRole('region', { name: 'Would newly run' });
    await runs.getByRole('link', { name: 'shop/get_order' }).first().waitFor();
    await other.page.getByRole('button', { name: 'Ship with passkey' }).click();
    await other.page.getByRole('alert').filter({ hasText: 'Shipped' }).waitFor();
    assert.equal(await cedar(), true);
    await page.getByText('Shipped', { exact: true }).waitFor();
    await page.goto(`${workspace.url}/policy/versions`);
    const current = page.getByRole('row').filter({ hasText: 'in force' });
    await current.filter({ hasText: 'second@example.test' }).filter({ hasText: '1042 is open again' }).waitFor();
    assert.deepEqual([...faults, ...other.faults], []);
    await page.context().close();
    await other.page.context().close();
  });

  test('who may not see policies is told so, and by whom it can be changed', async () => {
    const { page } = await open();
    await signIn(page, 'approver@example.test');
    await page.goto(`${workspace.url}/policy/files`);
    await page.getByRole('alert').filter({ hasText: 'Not allowed' }).first().waitFor();
    await page.goto(`${workspace.url}/policy/playground`);
    await page.getByText(/Trying a call needs the role/).waitFor();
    await page.context().close();
  });

  test('every page can be read and operated by everybody', async () => {
    const task = (await workspace.operator('GET /tasks')).items[0]?.id ?? '';
    const { items } = await workspace.operator('GET /actions', { query: { tool: 'shop/get_order' } });
    const paths = [
      `/tasks/${task}`,
      '/policy/files',
      '/policy/files/limits',
      '/policy/files/gatehouse%2Fflow',
      `/policy/playground?action=${items[0]?.actionId}`,
      '/policy/playground',
      '/policy/proposals',
      '/policy/proposals/1',
      '/policy/versions',
      '/policy/versions/1',
      '/policy/budgets',
      '/policy/budgets/orders-per-day',
    ];
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
