import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import type { Browser } from 'playwright-core';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const browser = (await launchChromium()) as Browser;

describe('what is usual, in the console', { skip: browser ? false : 'Chromium is missing: see above' }, () => {
  let workspace: Workspace;
  let client: Client;
  let assets: ReturnType<typeof builtConsole>;

  before(async () => {
    assets = builtConsole();
    workspace = await startWorkspace({ consoleDir: assets.directory });
    await workspace.apply(
      manifests().map((each) =>
        each.kind === 'Environment' && each.name === 'production' ? { ...each, baseline: { days: 1, calls: 5 } } : each,
      ),
    );
    const agent = await workspace.agent('agent-a');
    client = new Client({ name: 'usual', version: '1' });
    await client.connect(createMcpTransport(await agent.startTask({ template: 'all', intent: 'the daily work' })));
  });
  after(async () => {
    await browser.close();
    await client.close();
    await workspace.close();
    assets.remove();
  });

  const { open, signIn } = visitors(browser, () => workspace);
  const getOrder = () => client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } });

  /** @proves baseline.learning, baseline.reset */
  test('an agent’s page says how far the learning is, what is usual and what was not, and security accepts it there', async () => {
    for (let at = 0; at < 4; at++) await getOrder();
    const { page, faults } = await open();
    await signIn(page, 'owner@example.test');
    await page.goto(`${workspace.url}/agents/agent-a`);
    await page.getByText('1 of 1 days, 4 of 5 calls').waitFor();
    await getOrder();
    await client.callTool({ name: 'shop__list_orders', arguments: { customer: 'customer-z' } });
    await page.reload();
    await page.getByText('what differs is unusual').waitFor();
    await page.getByRole('img', { name: /Calls by hour \(UTC\)\. \d\d:00: 5 calls/ }).waitFor();
    const tools = page.getByRole('table', { name: 'What agent-a usually does, by tool' });
    await tools
      .getByRole('row', { name: /shop\/list_orders.*1 call/ })
      .getByRole('button', { name: 'Accept…' })
      .click();
    const dialog = page.getByRole('dialog', { name: 'Is this usual for agent-a?' });
    assert.ok(await dialog.getByRole('button', { name: 'It is usual' }).isDisabled(), 'why was not said');
    await dialog.getByRole('textbox', { name: 'Why' }).fill('the weekly report');
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'detached' });
    await tools.getByRole('button', { name: 'Accept…' }).waitFor({ state: 'detached' });
    const [record] = (await workspace.operator('GET /records', { query: { operation: 'agent.baseline.accept' } }))
      .items;
    assert.equal(record?.record.requested_by, 'person:owner@example.test');
    assert.deepEqual(faults, []);
    await page.context().close();
  });
});
