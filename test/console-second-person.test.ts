import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { auditPages } from './support/page-audit.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const owner = 'owner@example.test';
const browser = (await launchChromium()) as Browser;
const skip = browser ? false : 'Chromium is missing: see above';

const people: ManifestInput[] = [
  { kind: 'Person', email: 'second@example.test', displayName: 'Second', roles: ['security'] },
  { kind: 'Person', email: 'third@example.test', displayName: 'Third', roles: ['admin'] },
];

const nights = `@id("nights")
forbid (principal, action == Gatehouse::Action::"shop/get_order", resource)
when { context.arguments.order == 1002 };
`;

describe('what waits for a second person, in the console', { skip }, () => {
  let workspace: Workspace;
  let assets: ReturnType<typeof builtConsole>;
  let first: { page: Page; faults: string[] };
  let other: { page: Page; faults: string[] };

  before(async () => {
    assets = builtConsole();
    workspace = await startWorkspace({ consoleDir: assets.directory });
    await workspace.apply([...manifests({ production: true }), ...people]);
    other = await open();
    await signIn(other.page, 'second@example.test');
    first = await open();
    await signIn(first.page, owner);
  });
  after(async () => {
    await browser.close();
    await workspace.close();
    assets.remove();
  });

  const { open, signIn } = visitors(browser, () => workspace);
  const files = async () => (await workspace.operator('GET /policies')).items.map(({ name }) => name);

  /** @proves console.policy-file */
  test('a policy file is made in the console; to delete what forbids waits, is rejected with a reason, and one goes back', async () => {
    const { page } = first;
    await page.goto(`${workspace.url}/policy/files`);
    await page.getByRole('button', { name: 'New policy file' }).click();
    await page.getByRole('heading', { level: 1, name: 'New policy file' }).waitFor();
    const propose = page.getByRole('button', { name: 'Propose' });
    assert.ok(await propose.isDisabled(), 'it has no name');
    await page.getByLabel('What it is called in decisions').fill('Night Shift');
    await page.getByText(/Small letters, digits/).waitFor();
    await page.getByLabel('What it is called in decisions').fill('night-shift');
    await page.getByText('Nothing is wrong with it.').waitFor();
    await page.getByRole('textbox', { name: 'Text of night-shift' }).fill(nights);
    await page.getByText('Nothing is wrong with it.').waitFor();
    await propose.click();
    await page.getByRole('alert').filter({ hasText: 'In force' }).waitFor();
    await page.getByRole('heading', { level: 1, name: 'Policies' }).waitFor();
    await page.getByRole('link', { name: 'night-shift' }).click();
    await page.getByText('nights').first().waitFor();
    assert.ok((await files()).includes('night-shift'));

    // What forbids is let go only when somebody else agrees.
    await page.getByRole('button', { name: 'Delete…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Delete night-shift?' });
    await dialog.getByText(/somebody else has to agree first/).waitFor();
    await dialog.getByLabel(/^Why/).fill('no nights any more');
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('heading', { level: 1, name: 'Proposal 1' }).waitFor();
    await page.getByText(/forbid night-shift#nights is gone/).waitFor();
    assert.ok((await files()).includes('night-shift'));

    await other.page.goto(`${workspace.url}/policy/proposals/1`);
    await other.page.getByRole('button', { name: 'Reject…' }).click();
    await other.page.getByLabel(/^Why not/).fill('they are not over');
    await other.page.keyboard.press('Enter');
    await other.page.getByText('they are not over').waitFor();
    await page.getByText('they are not over').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Ship with passkey' }).count(), 0);

    // Back to the version before: the same relaxation, under the same rule.
    await page.goto(`${workspace.url}/policy/versions/1`);
    await page.getByRole('button', { name: /Go back/ }).click();
    await page
      .getByRole('dialog')
      .getByRole('button', { name: /^Go back/ })
      .click();
    await page.getByRole('heading', { level: 1, name: 'Proposal 2' }).waitFor();
    await other.page.goto(`${workspace.url}/policy/proposals/2`);
    await other.page.getByRole('button', { name: 'Ship with passkey' }).click();
    await other.page.getByRole('alert').filter({ hasText: 'Shipped' }).waitFor();
    assert.ok(!(await files()).includes('night-shift'));
    assert.deepEqual([...first.faults, ...other.faults], []);
  });

  /** @proves console.observed */
  test('what policies in observe mode would have done is listed, with the actions', async () => {
    const { page } = first;
    await page.goto(`${workspace.url}/policy/observed`);
    await page.getByText('No policy is in observe mode').waitFor();
    await workspace.operator('POST /apply', {
      body: { manifests: [{ kind: 'Policy', name: 'watched', cedar: nights, mode: 'observe' }] },
    });
    const agent = await workspace.agent('agent-a');
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(await agent.startTask({ template: 'all', intent: 'test' })));
    assert.ok(!(await client.callTool({ name: 'shop__get_order', arguments: { order: 1002 } })).isError);
    await client.close();
    const { items } = await workspace.operator('GET /policy/observed');
    assert.equal(items.flatMap(({ examples }) => examples).length, 1, 'it is on record');
    await page.reload();
    const row = page.getByRole('table', { name: 'Observed policies' }).getByRole('row').filter({ hasText: 'watched' });
    await row.getByText('observed only').waitFor();
    await row.getByRole('link', { name: 'action 1' }).click();
    await page.getByRole('heading', { level: 1, name: 'shop/get_order' }).waitFor();
    assert.deepEqual(first.faults, []);
  });

  /** @proves console.two-yeses */
  test('what the host’s token proposes shows the first of two yeses', async () => {
    const { proposed } = await workspace.apply([
      { kind: 'Policy', name: 'wide', cedar: 'permit (principal, action in Gatehouse::Action::"read", resource);' },
    ]);
    const address = `${workspace.url}/policy/proposals/${proposed?.number}`;
    await first.page.goto(address);
    await first.page.getByRole('button', { name: 'Ship with passkey' }).click();
    await first.page.getByRole('alert').filter({ hasText: 'The first of two' }).waitFor();
    await first.page.getByText(/You have said yes already/).waitFor();
    assert.ok(!(await files()).includes('wide'));
    await other.page.goto(address);
    await other.page.getByText(/it takes two people/).waitFor();
    await other.page.getByRole('button', { name: 'Ship with passkey' }).click();
    await other.page.getByRole('alert').filter({ hasText: 'Shipped' }).waitFor();
    assert.ok((await files()).includes('wide'));
  });

  /** @proves people.passkey-by-link */
  test('a passkey by a link shows whose link it was, and another admin confirms it', async () => {
    const by = await workspace.person('third@example.test');
    await workspace.person('auditor@example.test', { by });
    const { page } = first;
    await page.goto(`${workspace.url}/identity/people/auditor@example.test`);
    await page.getByText(/no second person for what they want/).waitFor();
    await page.getByRole('button', { name: 'Confirm the passkey…' }).click();
    const dialog = page.getByRole('dialog', { name: /auditor@example.test’s own/ });
    await dialog.getByRole('button', { name: 'Confirm' }).click();
    await page.getByText(/no second person for what they want/).waitFor({ state: 'detached' });
    assert.deepEqual(first.faults, []);
  });

  test('every one of these pages can be read and operated by everybody', async () => {
    await auditPages({
      url: workspace.url,
      paths: ['/policy/new', '/policy/observed', '/policy/files', '/policy/proposals/1'],
      narrow: { width: 390, height: 844 },
      async open(how) {
        const opened = await open(how);
        await signIn(opened.page, owner);
        return opened;
      },
    });
  });
});
