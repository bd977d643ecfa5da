import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const browser = (await launchChromium()) as Browser;
const skip = browser ? false : 'Chromium is missing: see above';

describe('more calls like one that is approved, in the console', { skip }, () => {
  let workspace: Workspace;
  let assets: ReturnType<typeof builtConsole>;
  let visitor: { page: Page; faults: string[] };
  let client: Client;
  let task: string;

  before(async () => {
    assets = builtConsole();
    workspace = await startWorkspace({ consoleDir: assets.directory });
    const grantable = { calls: 20, seconds: 14_400 };
    await workspace.apply([
      ...manifests().filter(({ kind, ...each }) => kind !== 'Template' || !('name' in each && each.name === 'all')),
      { kind: 'Template', name: 'all', allow: [{ tools: ['shop/*'], grantable }] },
    ]);
    visitor = await open();
    await signIn(visitor.page, 'approver@example.test');
    const agent = await workspace.agent('agent-a');
    const started = await agent.startTask({ template: 'all', intent: 'refunds' });
    task = started.id;
    client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(started));
  });
  after(async () => {
    await client.close().catch(() => undefined);
    await browser.close();
    await workspace.close();
    assets.remove();
  });

  const { open, signIn } = visitors(browser, () => workspace);
  async function refund(amount_cents: number) {
    const args = { order: 1042, amount_cents, currency: 'EUR', reason: 'broken' };
    const result = await client.callTool({ name: 'shop__refund_order', arguments: args });
    const asked = result._meta?.['gatehouse/approval'] as { id: string } | undefined;
    return { ran: !result.isError, asked: asked?.id ?? '' };
  }

  /** @proves console.standing-grants */
  test('the bounds come from the call, one passkey signs both, the task shows what is used, and it is revoked there', async () => {
    const { page, faults } = visitor;
    await page.goto(`${workspace.url}/approvals/${(await refund(10)).asked}`);
    await page.getByRole('button', { name: 'Allow more of these…' }).click();
    const form = page.getByRole('form', { name: 'Allow more of these' });
    assert.equal(await form.getByLabel('order', { exact: true }).first().inputValue(), 'exactly');
    await form.getByLabel('amount_cents', { exact: true }).first().click();
    await page.getByRole('option', { name: 'from … to' }).click();
    await form.getByLabel('amount_cents: to').fill('20');
    await form.getByLabel(/More calls/).fill('3');
    await form.getByRole('button', { name: 'Approve this and 3 more with passkey' }).click();
    await page.getByText('exactly as shown, once, and 3 more within your bounds').waitFor();
    assert.ok((await refund(10)).ran);
    assert.ok((await refund(20)).ran);
    assert.ok(!(await refund(21)).ran);

    await page.goto(`${workspace.url}/tasks/${task}`);
    const row = page.getByRole('row').filter({ hasText: 'amount_cents is 0 to 20' });
    await row.getByText('1 of 3').waitFor();
    await row.getByRole('button', { name: /Revoke the grant/ }).click();
    await row.getByText('revoked').waitFor();
    assert.ok(!(await refund(19)).ran);
    assert.deepEqual(faults, []);
  });

  /** @proves console.standing-grants */
  test('one move of the keyboard denies and suspends the task', async () => {
    const { page } = visitor;
    await page.goto(`${workspace.url}/approvals/${(await refund(18)).asked}`);
    await page.getByRole('button', { name: 'Deny…' }).press('Enter');
    await page.keyboard.type('too many of these');
    await page.keyboard.press('Tab');
    await page.keyboard.press('ArrowRight');
    await page.getByRole('button', { name: 'Deny and suspend' }).press('Enter');
    await page.getByText(/Denied by approver@example\.test/).waitFor();
    const { suspended } = await workspace.operator('GET /tasks/:id', { params: { id: task } });
    assert.match(suspended?.reason ?? '', /denied apr_\w+: too many of these/);
  });
});
