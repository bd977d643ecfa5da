import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Approval, ManifestInput, Receipt } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { formatVerifierKey, parseVerifierKey, verifierKey, verifyReceipt } from '@gatehouse/verifier';
import { Client } from '@modelcontextprotocol/client';
import type { Browser, Page } from 'playwright-core';
import { type HostileHandle, startHostileHttp } from './peers/hostile-server.ts';
import { launchChromium, type VirtualAuthenticator } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { auditPages } from './support/page-audit.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** First load, as a browser fetches it until the page says what it is for: HTML, scripts, styles and fonts, compressed. */
const FIRST_LOAD_BYTES = { '/sign-in': 182_000, '/': 210_000, '/approvals': 225_000 };
const owner = 'owner@example.test';
const refund = { order: 1042, amount_cents: 4_000, currency: 'EUR', reason: 'arrived broken' };

/** Under the same name. */
const keyOfAnother = (vkey: string) =>
  formatVerifierKey(verifierKey(parseVerifierKey(vkey).name, new Uint8Array(32).fill(7)));

const browser = (await launchChromium()) as Browser;
const skip = browser ? false : 'Chromium is missing: see above';

describe('the console', { skip }, () => {
  let workspace: Workspace;
  let peer: HostileHandle;
  const clients: Client[] = [];
  let assets: ReturnType<typeof builtConsole>;

  before(async () => {
    assets = builtConsole();
    workspace = await startWorkspace({ consoleDir: assets.directory });
    peer = await startHostileHttp();
    const payments: ManifestInput = {
      kind: 'ToolServer',
      name: 'payments',
      environments: ['production'],
      transport: { type: 'http', url: peer.url, allowPrivateAddress: true },
      tools: { transfer: { tier: 3, effects: ['pay'] }, lookup: { tier: 1, effects: ['read'] } },
      prompts: { tier: 1 },
    };
    await workspace.apply([...manifests(), payments]);
  });
  after(async () => {
    await browser.close();
    // A killed agent's client has nothing left to say goodbye to.
    await Promise.allSettled(clients.map((client) => client.close()));
    await workspace.close();
    await peer.close();
    assets.remove();
  });

  const { open, signIn: signInAs } = visitors(browser, () => workspace);
  const signIn = (page: Page, email = owner) => signInAs(page, email);

  async function connect(name: string) {
    const agent = await workspace.agent(name);
    const task = await agent.startTask({ template: 'all', intent: 'Refund order 1042', requestedBy: 'user:support' });
    const client = new Client({ name: 'console-test', version: '1.0.0' });
    await client.connect(createMcpTransport(task));
    clients.push(client);
    const call = (tool: string, args: Record<string, unknown>) =>
      client.callTool({ name: `shop__${tool}`, arguments: args });
    return { call };
  }

  async function pendingOf(agent: string): Promise<Approval> {
    const { items } = await workspace.operator('GET /approvals', { query: { state: 'pending', agent } });
    assert.ok(items[0], 'an approval is pending');
    return items[0];
  }

  test('sign in, watch a call arrive live, approve it with a passkey, kill the agent, see its next call refused', async () => {
    const { page, faults } = await open();
    await signIn(page);
    const { call } = await connect('agent-a');

    const live = page.getByRole('table', { name: 'Live activity' });
    assert.ok(!(await call('get_order', { order: 1042 })).isError);
    const arrived = live.getByRole('row').filter({ hasText: 'shop/get_order' }).filter({ hasText: 'Success' });
    await arrived.waitFor();

    const asked = await call('refund_order', refund);
    assert.ok(asked._meta?.['gatehouse/approval'], 'the refund waits');
    await live.getByRole('row').filter({ hasText: 'shop/refund_order' }).filter({ hasText: 'Waiting' }).waitFor();

    await page.keyboard.press('g');
    await page.keyboard.press('p');
    const card = page.getByRole('article').filter({ hasText: 'agent-a' });
    for (const [name, value] of Object.entries(refund))
      await card.getByRole('row', { name: `${name} ${value}` }).waitFor();
    await card.getByText('declared by the agent, not verified').waitFor();
    await card.getByText('is of what is shown here').waitFor();
    await card.getByRole('button', { name: 'Approve with passkey' }).click();
    await page.getByText('Nothing waits for a person').waitFor();
    const done = await call('refund_order', refund);
    assert.ok(!done.isError, JSON.stringify(done.content));
    await page.getByRole('row').filter({ hasText: 'Approved, used' }).waitFor();

    // Two clicks from anywhere, and the name.
    await page.getByRole('button', { name: 'Kill switch' }).first().click();
    await page.getByRole('combobox', { name: 'Agent' }).fill('agent-a');
    await page.getByRole('option', { name: 'agent-a', exact: true }).click();
    const kill = page.getByRole('button', { name: 'Kill this agent' });
    await page.getByLabel('Type agent-a to confirm').fill('agent-b');
    assert.ok(await kill.isDisabled(), 'another name does not kill');
    await page.getByLabel('Type agent-a to confirm').fill('agent-a');
    await kill.click();
    await page.getByText(/Stopped on 1 replica in/).waitFor();
    await page.getByText('one', { exact: true }).waitFor();

    await assert.rejects(call('get_order', { order: 1042 }), /killed/);
    await page.getByRole('link', { name: 'What it did' }).click();
    await page.getByRole('heading', { level: 1 }).getByText('Killed').waitFor();
    await page.goto(`${workspace.url}/`);
    await page.getByRole('row').filter({ hasText: 'shop/refund_order' }).filter({ hasText: 'Success' }).waitFor();

    await page.goto(`${workspace.url}/agents/agent-a`);
    await page.getByRole('button', { name: 'Reactivate' }).click();
    await page.getByRole('menuitem', { name: 'Reactivate agent-a' }).click();
    await page.getByRole('heading', { level: 1 }).getByText('Active').waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('a link that is only opened is not used up, and used it leads on to the passkey once', async () => {
    const { page } = await open();
    const { url } = await workspace.operator('POST /people/signin-links', {
      body: { email: 'auditor@example.test', recovery: false },
    });
    await page.goto(url);
    await page.getByRole('button', { name: 'Use this link' }).waitFor();
    await page.reload();
    await page.getByRole('button', { name: 'Use this link' }).click();
    await page.getByLabel('Name of this passkey').fill('Key of the auditor');
    assert.equal(new URL(page.url()).hash, '', 'the link is not left in the address');
    await page.getByRole('button', { name: 'Create the passkey' }).click();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    await page.goto(url.replace('/sign-in#', '/sign-in?again#'));
    await page.getByRole('button', { name: 'Use this link' }).click();
    await page.getByRole('alert').getByText('This link does not work').waitFor();
    await page.context().close();
  });

  test('who signs out, or whose session ends, comes back to the same page with the passkey', async () => {
    const { page } = await open();
    await signIn(page);
    await page.goto(`${workspace.url}/actions?agent=agent-b`);
    await page.getByRole('heading', { name: 'Actions' }).waitFor();
    // Noticed at the next thing that is done, if not before.
    await page.context().clearCookies();
    await page.keyboard.press('g');
    await page.keyboard.press('t');
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
    await page.getByRole('heading', { name: /Tasks|Actions/ }).waitFor();
    await page.context().clearCookies();
    await page.goto(`${workspace.url}/actions?agent=agent-b`);
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
    await page.getByRole('heading', { name: 'Actions' }).waitFor();
    assert.equal(new URL(page.url()).searchParams.get('agent'), 'agent-b');
    await page.getByRole('button', { name: 'settings and sign out' }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
    await page.goto(`${workspace.url}/agents`);
    await page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
    await page.context().close();
  });

  test('a page that shows another action than the one to be signed never gets the passkey’s signature', async () => {
    const { page, authenticator } = await open();
    await signIn(page);
    const { call } = await connect('agent-b');
    await call('refund_order', { ...refund, amount_cents: 40_000 });
    const { id } = await pendingOf('agent-b');
    const before = await signatures(authenticator);
    await page.route(`**/api/v1/approvals/${id}`, async (route) => {
      const response = await route.fetch();
      const shown = (await response.json()) as Approval;
      await route.fulfill({ response, json: { ...shown, arguments: { ...refund, amount_cents: 400 } } });
    });
    await page.goto(`${workspace.url}/approvals/${id}`);
    await page.getByRole('alert').getByText('another action than the one shown').waitFor();
    await page.getByRole('button', { name: 'Approve with passkey' }).click();
    await page.getByRole('alert').getByText('nothing was signed').waitFor();
    assert.equal(await signatures(authenticator), before);
    assert.equal((await pendingOf('agent-b')).id, id);

    await page.unroute(`**/api/v1/approvals/${id}`);
    await page.reload();
    await page.getByRole('button', { name: 'Deny…' }).click();
    await page.getByLabel(/Why not/).fill('not what was agreed');
    await page.getByRole('button', { name: 'Deny', exact: true }).click();
    await page.getByText('Denied by owner@example.test').waitFor();
    const denied = await workspace.operator('GET /approvals/:id', { params: { id } });
    assert.equal(denied.reason, 'not what was agreed');
    await page.context().close();
  });

  test('a changed definition is shown as a difference, and a review counts for what was shown only', async () => {
    const { page } = await open();
    await signIn(page);
    peer.mutateNow('description');
    await page.goto(`${workspace.url}/tools`);
    await page
      .locator('section', { has: page.getByRole('heading', { name: 'payments' }) })
      .getByRole('button', { name: 'Ask again' })
      .click();
    const review = page.getByRole('article', { name: 'payments/transfer' });
    await review.locator('ins').getByText('evil.example').waitFor();
    // The server changes it once more, and this page does not hear of it.
    const { items: seen } = await workspace.operator('GET /definitions');
    await page.route('**/api/v1/definitions', (route) => route.fulfill({ json: { items: seen } }));
    peer.mutateNow('enum');
    await workspace.operator('POST /servers/:name/refresh', { params: { name: 'payments' } });
    await review.getByRole('button', { name: 'Approve this definition' }).click();
    await page.getByRole('alert').getByText('no longer served as you saw it').waitFor();
    await page.unroute('**/api/v1/definitions');
    await page.reload();
    await review.locator('ins').getByText('now').waitFor();
    await review.getByRole('button', { name: 'Reject' }).click();
    await review.waitFor({ state: 'detached' });
    const { items } = await workspace.operator('GET /definitions', { query: { server: 'payments', state: 'held' } });
    assert.ok(items.some(({ name, reviewedBy }) => name === 'transfer' && reviewedBy === `person:${owner}`));
    await page.context().close();
  });

  test('a receipt can be verified in the browser or taken away, and the log on the server', async () => {
    const { page, faults } = await open();
    await signIn(page);
    await page.goto(`${workspace.url}/actions?tool=shop/get_order`);
    await page.getByRole('table', { name: 'Actions' }).getByRole('link').first().click();
    await page.getByRole('button', { name: 'Verify here' }).first().click();
    await page.getByText('in the log, as signed').waitFor();
    const downloading = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Receipt' }).click();
    const receiptFile = await (await downloading).path();
    const { receipts } = JSON.parse(readFileSync(receiptFile, 'utf8')) as { receipts: Receipt[] };
    const keys = new Map((await workspace.operator('GET /logs')).items.map(({ id, vkey }) => [id, vkey]));
    for (const { log, entry, proof, vkey } of receipts) {
      assert.equal(vkey, keys.get(log));
      assert.ok((await verifyReceipt({ vkey, proof, entry: Buffer.from(entry) })).ok);
    }
    assert.ok(receipts.length > 0);
    await page.goto(`${workspace.url}/log`);
    await page.getByRole('button', { name: 'Verify all logs' }).click();
    await page.getByText(/records, all as signed/).waitFor();
    await page.getByRole('link', { name: 'verify receipts and logs in this browser' }).click();
    await page.getByRole('button', { name: 'Verify the address' }).click();
    await page.getByText(/all \d+ records are as they were signed/).waitFor();
    await page.locator('.verify-files').setInputFiles(receiptFile);
    await page
      .getByText(/^Proven .*: record \d+ of the \d+ of /)
      .first()
      .waitFor();
    // A key from elsewhere that is not this log's proves nothing.
    await page.getByLabel('Keys of logs').fill(keyOfAnother([...keys.values()][0] ?? ''));
    await page.getByRole('button', { name: 'Verify the address' }).click();
    await page
      .getByText(/^Not proven/)
      .first()
      .waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('who may not do something is told why, and whom to ask', async () => {
    const { page } = await open();
    await signIn(page, 'approver@example.test');
    await page.goto(`${workspace.url}/agents/agent-b`);
    await page.getByRole('button', { name: 'Kill', exact: true }).click();
    await page.getByText('Only owner@example.test (the owner), security or an admin can kill agent-b.').waitFor();
    await page.getByLabel('Type agent-b to confirm').fill('agent-b');
    assert.ok(await page.getByRole('button', { name: 'Kill this agent' }).isDisabled());
    await page.context().close();
  });

  test('every page can be read and used without a mouse, in light and dark, wide and narrow', async () => {
    const { call } = await connect('agent-b');
    await call('refund_order', refund);
    const { id, actionId, task } = await pendingOf('agent-b');
    const paths = [
      '/',
      '/approvals',
      `/approvals/${id}`,
      '/channels',
      '/agents',
      '/agents/agent-b',
      '/tools',
      '/tools/payments?kind=tool&name=transfer',
      '/actions',
      `/actions/${actionId}`,
      '/tasks',
      `/tasks/${task}`,
      '/log',
      '/settings',
      '/no-such-page',
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

  test('lists are gone through by keys: j, k, Enter, and the way back', async () => {
    const { page } = await open();
    await signIn(page);
    await page.keyboard.press('g');
    await page.keyboard.press('a');
    await page.getByRole('heading', { name: 'Agents' }).waitFor();
    await page.getByRole('link', { name: 'agent-b', exact: true }).waitFor();
    for (const key of ['j', 'j', 'k', 'j', 'Enter']) await page.keyboard.press(key);
    await page.getByRole('heading', { level: 1, name: /agent-[ab]/ }).waitFor();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Jump to' }).fill('agent-a');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: /agent-a/ }).waitFor();
    await page.keyboard.press('Shift+K');
    await page.getByRole('dialog', { name: 'Kill switch' }).waitFor();
    await page.context().close();
  });

  test('the first load stays small', async (t) => {
    const { page } = await open();
    await signIn(page);
    const state = await page.context().storageState();
    await page.context().close();
    const shown = {
      '/sign-in': /Sign in with a passkey/,
      '/': 'Overview',
      '/approvals': /Nothing waits for a person|Approve with passkey/,
    };
    for (const [path, most] of Object.entries(FIRST_LOAD_BYTES) as [keyof typeof shown, number][]) {
      const fetched = new Set<string>();
      const fresh = await browser.newContext(path === '/sign-in' ? {} : { storageState: state });
      const first = await fresh.newPage();
      first.on('request', (request) => {
        const { pathname } = new URL(request.url());
        if (!pathname.startsWith('/api/')) fetched.add(pathname);
      });
      await first.goto(workspace.url + path);
      await first.locator('main').getByText(shown[path]).first().waitFor();
      await first.evaluate(() => document.fonts.ready);
      const sizes = [...fetched].map((each) => {
        const bytes = readFileSync(join(assets.directory, each === path ? 'index.html' : each));
        return { path: each, size: each.endsWith('.woff2') ? bytes.length : gzipSync(bytes).length };
      });
      const total = sizes.reduce((sum, { size }) => sum + size, 0);
      t.diagnostic(`${path}: ${sizes.length} files, ${total} bytes compressed`);
      assert.ok(total < most, JSON.stringify(sizes, null, 1));
      await fresh.close();
    }
  });
});

/** How often the authenticator has signed. */
async function signatures(authenticator: VirtualAuthenticator): Promise<number> {
  return (await authenticator.credentials()).reduce((sum, { signCount }) => sum + signCount, 0);
}
