import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Approval, ManifestInput } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import type { Browser } from 'playwright-core';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { auditPages } from './support/page-audit.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const browser = (await launchChromium()) as Browser;
const skip = browser ? false : 'Chromium is missing: see above';
const owner = 'owner@example.test';
const undo = { possible: 'partly', how: 'delete it in the channel' } as const;

/** Posting waits for a person, and is said to be undoable in part. */
const reviewed = (): ManifestInput[] =>
  manifests().map((each) =>
    each.kind === 'ToolServer'
      ? { ...each, tools: { ...each.tools, post_message: { tier: 3, effects: ['send'], undo } } }
      : each,
  );

describe('approvals, in the console', { skip }, () => {
  let workspace: Workspace;
  let assets: ReturnType<typeof builtConsole>;
  let client: Client;
  before(async () => {
    assets = builtConsole();
    workspace = await startWorkspace({ consoleDir: assets.directory });
    await workspace.apply(reviewed());
    const agent = await workspace.agent('agent-a');
    const task = await agent.startTask({ template: 'all', intent: 'Tell support', ticket: 'SUP-301' });
    client = new Client({ name: 'console-test', version: '1.0.0' });
    await client.connect(createMcpTransport(task));
  });
  after(async () => {
    await browser.close();
    await client.close();
    await workspace.close();
    assets.remove();
  });

  const { open, signIn } = visitors(browser, () => workspace);
  const post = (text: string) =>
    client.callTool({ name: 'shop__post_message', arguments: { channel: 'support', text } });
  const pending = async () =>
    (await workspace.operator('GET /approvals', { query: { state: 'pending', limit: '50' } })).items;

  /** @proves console.approve-and-verify */
  test('approve from the inbox by keyboard with a passkey, and verify the receipt on the page', async () => {
    const { page, faults } = await open();
    await signIn(page, owner);
    await post('Order 1042 arrived broken');
    await page.goto(`${workspace.url}/approvals`);
    const card = page.getByRole('article').filter({ hasText: 'Order 1042 arrived broken' });
    await card.getByText('is of what is shown here').waitFor();
    await card.getByText('it can be undone in part only').waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('a');
    await page.getByText('Nothing waits for a person').waitFor();
    assert.ok(!(await post('Order 1042 arrived broken')).isError);

    const { items } = await workspace.operator('GET /actions', { query: { tool: 'shop/post_message', limit: '1' } });
    await page.goto(`${workspace.url}/actions/${items[0]?.actionId}`);
    await page.getByRole('button', { name: 'Verify here' }).first().click();
    await page.getByText('in the log, as signed').first().waitFor();
    await page.getByRole('button', { name: 'Verify who said yes' }).click();
    const proof = page.getByRole('status').filter({ hasText: 'Signed exactly this action, with these arguments' });
    await proof.getByText(owner).waitFor();
    assert.deepEqual(faults, []);

    // A page that is given somebody else's proof says so.
    await page.route('**/api/v1/approvals/*/proof', async (route) => {
      const response = await route.fetch();
      const proof = (await response.json()) as { arguments: Record<string, unknown> };
      proof.arguments.text = 'Order 1042 is refunded';
      await route.fulfill({ response, json: proof });
    });
    await page.reload();
    await page.getByRole('button', { name: 'Verify who said yes' }).click();
    await page
      .getByRole('alert')
      .getByText('Not proven: the arguments shown are not those that were signed and ran')
      .waitFor();
    await page.context().close();
  });

  /** @proves console.approval-diff */
  test('an approval is compared with the last one that was approved, and text that hides is shown', async () => {
    const { page } = await open();
    await signIn(page, owner);
    await post('Order 1042 arrived\u202e broken for \u0430nna\n\n**Approved by security** [ok](https://evil.example)');
    const [waiting] = await pending();
    await page.goto(`${workspace.url}/approvals/${waiting?.id}`);
    const review = page.getByRole('region', { name: 'Before you decide' });
    await review.getByText('in part: delete it in the channel').waitFor();
    await review.getByText('nobody vouches for it').waitFor();
    await review.getByText('SUP-301, named by whoever started the task; no system has said its state').waitFor();
    await review.getByText('you 1 × yes, 0 × no; others never').waitFor();
    const different = review.getByRole('list', { name: 'What is different' });
    assert.match((await different.textContent()) ?? '', /text.*U\+202E/s);
    await page.getByText('mixes alphabets that look alike').waitFor();
    assert.equal(await page.locator('a[href*="evil.example"]').count(), 0, 'never markup');
    await page.keyboard.press('d');
    await page.getByRole('button', { name: 'Deny', exact: true }).click();
    await page.getByText(`Denied by ${owner}`).waitFor();
    await page.context().close();
  });

  /** @proves console.approval-list */
  test('several of one kind are a table: what is ticked is signed with one gesture, and a list that was swapped is not', async () => {
    const { page, authenticator, faults } = await open();
    await signIn(page, owner);
    for (const order of [1, 2, 3]) await post(`Order ${order} is on its way`);
    await client.callTool({
      name: 'shop__refund_order',
      arguments: { order: 1042, amount_cents: 10, currency: 'EUR', reason: 'x' },
    });
    await page.goto(`${workspace.url}/approvals`);
    const [grave, list] = [page.getByRole('article').nth(0), page.getByRole('article').nth(1)];
    await grave.getByText('nobody has said that it can be undone').waitFor();
    await list.getByText('3 calls of').waitFor();
    const row = (text: string) => list.getByRole('row').filter({ hasText: text });
    for (const order of [1, 3]) await row(`Order ${order} is`).getByRole('checkbox').check();
    const sign = list.getByRole('button', { name: /Approve 2 with one passkey gesture/ });
    await list.getByText('You sign 2 calls; text: 2 different').waitFor();
    await sign.waitFor();

    // The server asks for another list to be signed: the passkey is not touched.
    const signatures = async () =>
      (await authenticator.credentials()).reduce((sum, { signCount }) => sum + signCount, 0);
    const before = await signatures();
    await page.route('**/api/v1/approval-lists/options', async (route) => {
      const all = (await pending()).filter(({ tool }: Approval) => tool === 'shop/post_message');
      const approvals = all
        .map(({ id, digest }) => ({ approval: id, digest }))
        .sort((a, b) => (a.approval < b.approval ? -1 : 1));
      const response = await route.fetch({ postData: { approvals } });
      await route.fulfill({ response });
    });
    await sign.click();
    await page.getByRole('alert').getByText('nothing was signed').waitFor();
    assert.equal(await signatures(), before);
    await page.unroute('**/api/v1/approval-lists/options');
    await sign.click();
    await page.getByText('2 calls of shop/post_message').waitFor();
    assert.equal(await signatures(), before + 1, 'one gesture');
    const left = (await pending()).map(({ arguments: args }) => JSON.stringify(args));
    assert.ok(left.some((each) => each.includes('Order 2')) && !left.some((each) => each.includes('Order 1 ')));
    assert.ok(!(await post('Order 1 is on its way')).isError);
    assert.ok((await post('Order 2 is on its way')).isError, 'what was not ticked waits');
    assert.deepEqual(
      faults.filter((fault) => !/40[39]/.test(fault)),
      [],
    );

    await page.getByRole('link', { name: 'How people decide' }).click();
    const people = page.getByRole('table', { name: 'People' });
    await people.getByRole('row').filter({ hasText: owner }).waitFor();
    await page.context().close();
  });

  test('the pages can be read and used without a mouse', async () => {
    for (const order of [4, 5]) await post(`Order ${order} is on its way`);
    await auditPages({
      url: workspace.url,
      paths: ['/approvals', '/approvals/people'],
      narrow: { width: 390, height: 844 },
      async open(how) {
        const opened = await open(how);
        await signIn(opened.page, owner);
        return opened;
      },
    });
  });
});
