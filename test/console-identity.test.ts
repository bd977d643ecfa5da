import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { createSvidSource } from '@gatehouse/sdk';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { auditPage } from './support/page-audit.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const owner = 'owner@example.test';
const leaver = 'leaver@example.test';

const browser = (await launchChromium()) as Browser;
const skip = browser ? false : 'Chromium is missing: see above';

describe('identity in the console', { skip }, () => {
  let workspace: Workspace;
  let assets: ReturnType<typeof builtConsole>;

  before(async () => {
    assets = builtConsole();
    workspace = await startWorkspace({ consoleDir: assets.directory });
    const more: ManifestInput[] = [
      { kind: 'Person', email: leaver, displayName: 'Leaver', roles: ['owner'] },
      { kind: 'Person', email: 'dev@example.test', displayName: 'Developer', roles: ['developer'] },
      {
        kind: 'Agent',
        name: 'agent-left',
        owner: leaver,
        purpose: 'outlives its owner',
        environment: 'production',
        blueprint: 'support',
      },
      {
        kind: 'Agent',
        name: 'agent-front',
        owner,
        purpose: 'hands tasks on',
        environment: 'production',
        blueprint: 'support',
        delegatesTo: { agents: ['agent-a'], blueprints: [] },
      },
    ];
    await workspace.apply([...manifests(), ...more]);
  });
  after(async () => {
    await browser.close();
    await workspace.close();
    assets.remove();
  });

  const { open, signIn: signInAs } = visitors(browser, () => workspace);
  const signIn = (page: Page, email = owner) => signInAs(page, email);
  const notification = (page: Page, text: string | RegExp) => page.getByRole('alert').filter({ hasText: text });

  test('an agent’s identity page shows what it could act with now, and after a kill nothing', async () => {
    const { page, faults } = await open();
    await signIn(page);
    const agent = await workspace.agent('agent-a');
    const task = await agent.startTask({ template: 'all', intent: 'show what is alive' });
    await createSvidSource({ url: workspace.url, agent: 'agent-a', key: agent.key }).x509();
    await page.goto(`${workspace.url}/agents/agent-a`);
    await page.getByRole('navigation', { name: 'Pages of agent-a' }).getByRole('link', { name: 'Identity' }).click();
    const live = page.getByRole('table', { name: 'Live credentials of agent-a' });
    await live.getByRole('row').filter({ hasText: 'Access token' }).filter({ hasText: 'private_key_jwt' }).waitFor();
    await live.getByRole('row').filter({ hasText: 'X.509-SVID' }).filter({ hasText: 'the agent itself' }).waitFor();
    // One that is issued while the page is open arrives by itself.
    await createSvidSource({ url: workspace.url, agent: 'agent-a', key: agent.key, task }).jwt(['https://other.test']);
    await live.getByRole('row').filter({ hasText: 'JWT-SVID' }).filter({ hasText: 'https://other.test' }).waitFor();
    await page.getByText(/key .* added/).waitFor();
    await page.getByRole('link', { name: 'agent-front' }).waitFor();

    await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-a' }, body: { reason: 'test' } });
    await page.getByText('Nothing that it holds works').waitFor();
    // Nor do they come back with the agent: they are of the time before.
    await workspace.operator('POST /agents/:name/state', { params: { name: 'agent-a' }, body: { state: 'active' } });
    await page.getByText('It holds nothing that works now').waitFor();
    const after = await workspace.operator('GET /agents/:name/identity', { params: { name: 'agent-a' } });
    assert.deepEqual(after.credentials, []);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('a token that is revoked, and one whose task has ended, are not shown as alive', async () => {
    const agent = await workspace.agent('agent-b');
    const task = await agent.startTask({ template: 'all', intent: 'ends' });
    const alive = async () =>
      (await workspace.operator('GET /agents/:name/identity', { params: { name: 'agent-b' } })).credentials;
    assert.equal((await alive()).filter(({ kind }) => kind === 'access-token').length, 1);
    await workspace.operator('POST /tasks/:id/end', { params: { id: task.id } });
    assert.deepEqual(await alive(), []);
  });

  test('a person lets an agent act for them, sees it, and takes it back', async () => {
    const { page, faults } = await open();
    await signIn(page);
    await page.goto(`${workspace.url}/delegations`);
    await page.getByText('No agent acts for you').waitFor();
    await page.getByRole('link', { name: 'Let an agent act for me' }).click();
    await page.getByRole('combobox', { name: 'Agent' }).fill('agent-b');
    await page.getByRole('option', { name: 'agent-b', exact: true }).click();
    await page.getByRole('combobox', { name: 'Kind of task' }).click();
    await page.getByRole('option', { name: 'refund-order' }).click();
    await page.getByLabel('customer').fill('z');
    await page.getByLabel('Only some of what this kind of task allows').click();
    assert.ok(await page.getByRole('button', { name: 'Let it act for me' }).isDisabled(), 'no tool is chosen');
    await page.getByLabel('shop/get_order').click();
    await page.getByLabel('Tasks a day, at most').fill('5');
    await page.getByRole('button', { name: 'Let it act for me' }).click();
    const row = page.getByRole('row').filter({ hasText: 'agent-b' }).filter({ hasText: 'In force' });
    await row.getByText('customer = z · shop/get_order · 5 tasks a day').waitFor();
    const { items } = await workspace.operator('GET /delegations');
    assert.deepEqual(
      items.map(({ user, parameters, tools }) => ({ user, parameters, tools })),
      [{ user: owner, parameters: { customer: 'z' }, tools: ['shop/get_order'] }],
    );

    await page.goto(`${workspace.url}/delegations?review=${items[0]?.id}`);
    await page.getByRole('dialog', { name: 'Shall agent-b go on acting for you?' }).waitFor();
    await page.getByRole('button', { name: 'Let it stand' }).click();
    await row.getByRole('button', { name: 'Revoke' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke', exact: true }).click();
    await page.getByRole('row').filter({ hasText: 'agent-b' }).filter({ hasText: 'Revoked' }).waitFor();
    assert.equal((await workspace.operator('GET /delegations')).items[0]?.state, 'revoked');
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('who leaves is offboarded with a successor, after being told what it does', async () => {
    const { page, faults } = await open();
    await signIn(page);
    await workspace.person(leaver);
    await page.goto(`${workspace.url}/identity/people`);
    await page.getByRole('link', { name: 'Leaver', exact: true }).click();
    await page
      .getByRole('table', { name: `Sessions of ${leaver}` })
      .getByRole('button', { name: 'End it' })
      .first()
      .waitFor();
    await page.getByRole('button', { name: 'Offboard…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Offboard Leaver' });
    await dialog.getByText('agent-left is suspended').waitFor();
    await dialog.getByRole('combobox', { name: 'Who takes over their agents' }).click();
    await page.getByRole('option', { name: /Owner/ }).click();
    await dialog.getByText(`agent-left is handed over to ${owner}`).waitFor();
    const go = dialog.getByRole('button', { name: 'Offboard', exact: true });
    assert.ok(await go.isDisabled(), 'the address is not typed yet');
    await dialog.getByLabel(`Type ${leaver} to confirm`).fill(leaver);
    await go.click();
    await page
      .getByRole('dialog', { name: `${leaver} is offboarded` })
      .getByText('agent-left')
      .waitFor();
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('heading', { level: 1 }).getByText('has left').waitFor();
    const { manifest } = await workspace.operator('GET /agents/:name', { params: { name: 'agent-left' } });
    assert.equal(manifest.owner, owner);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('a directory’s token is shown once, and can be revoked', async () => {
    const { page, faults } = await open();
    await signIn(page);
    await page.goto(`${workspace.url}/identity/people`);
    await page.getByRole('button', { name: 'Make a token' }).click();
    await page.getByRole('textbox', { name: 'Name' }).fill('our directory');
    await page.getByRole('button', { name: 'Make the token' }).click();
    const dialog = page.getByRole('dialog', { name: 'Token “our directory”' });
    const token = await dialog.locator('code').last().textContent();
    assert.ok(token && token.length > 30);
    const users = (bearer: string) =>
      fetch(`${workspace.url}/scim/v2/Users`, { headers: { authorization: `Bearer ${bearer}` } });
    assert.equal((await users(token)).status, 200);
    await dialog.getByRole('button', { name: 'Done, I have it' }).click();
    assert.ok(!(await page.content()).includes(token), 'it is gone from the page');
    await page.getByRole('button', { name: 'Revoke our directory' }).click();
    await page.getByRole('button', { name: 'Revoke the token' }).click();
    await page.getByText('No directory is connected').waitFor();
    assert.equal((await users(token)).status, 401);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('keys rotate with a click; a compromised one is destroyed only when its purpose is typed', async () => {
    const { page, faults } = await open();
    await signIn(page);
    await page.goto(`${workspace.url}/identity/keys`);
    const card = page.getByRole('article', { name: 'access-token' });
    await card.getByRole('button', { name: 'Rotate' }).click();
    await page.getByRole('button', { name: 'Make the next key' }).click();
    await card.getByText('Next', { exact: true }).waitFor();
    const kids = async () => {
      const { purposes } = await workspace.operator('GET /keys');
      return purposes.find(({ purpose }) => purpose === 'access-token')?.keys.map(({ kid }) => kid) ?? [];
    };
    const before = await kids();
    assert.equal(before.length, 2);
    await card.getByRole('button', { name: 'Compromised…' }).click();
    const destroy = page.getByRole('button', { name: 'Destroy the keys of now' });
    assert.ok(await destroy.isDisabled());
    await page.getByLabel('Type access-token to confirm').fill('access-token');
    await destroy.click();
    await notification(page, 'are destroyed').waitFor();
    assert.ok(!(await kids()).some((kid) => before.includes(kid)));

    await page.goto(`${workspace.url}/identity/trust-domain`);
    const authorities = page.locator('section', {
      has: page.getByRole('heading', { name: 'Certificate authorities' }),
    });
    await authorities.getByRole('button', { name: 'Rotate' }).click();
    await page.getByRole('button', { name: 'Make the next key' }).click();
    await authorities.getByRole('row').filter({ hasText: 'Intermediate' }).filter({ hasText: 'Next' }).waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('security sees who is signed in and can end it', async () => {
    const { page, faults } = await open();
    await signIn(page);
    const dev = await workspace.person('dev@example.test');
    await page.goto(`${workspace.url}/identity/sessions`);
    const row = page.getByRole('table', { name: 'Sessions' }).getByRole('row').filter({ hasText: 'dev@example.test' });
    await row.getByRole('button', { name: 'End it' }).first().click();
    await page.getByRole('button', { name: 'End the session' }).click();
    await row.waitFor({ state: 'detached' });
    await assert.rejects(dev.api('GET /session'), /401/);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('who may only look finds no button that would be refused', async () => {
    for (const email of ['auditor@example.test', 'dev@example.test']) {
      const { page, faults } = await open();
      await signIn(page, email);
      const disabled = async (name: string) => {
        const buttons = page.getByRole('button', { name });
        await buttons.first().waitFor();
        for (const button of await buttons.all()) {
          assert.ok(await button.isDisabled(), `${email}: ${name}`);
          assert.match((await button.getAttribute('title')) ?? '', /needs the role/);
        }
      };
      await page.goto(`${workspace.url}/identity/keys`);
      await disabled('Rotate');
      await disabled('Compromised…');
      await page.goto(`${workspace.url}/identity/trust-domain`);
      await disabled('Compromised…');
      await page.goto(`${workspace.url}/identity/people/${owner}`);
      await disabled('Offboard…');
      await disabled('Sign-in link');
      assert.equal(await page.getByRole('table', { name: /^Sessions of/ }).count(), 0);
      await page.goto(`${workspace.url}/identity/sessions`);
      await page.getByRole('table').waitFor();
      if (email.startsWith('auditor')) await disabled('End it');
      else await page.getByRole('table', { name: 'Your sessions' }).waitFor();
      assert.deepEqual(faults, []);
      await page.context().close();
    }
  });

  test('every page of identity can be read and used without a mouse, in light and dark, wide and narrow', async () => {
    const agent = await workspace.agent('agent-bearer', { bearerOnly: true });
    await agent.startTask({ template: 'all', intent: 'be seen' });
    const paths = [
      '/identity/people',
      `/identity/people/${owner}`,
      `/identity/people/${leaver}`,
      '/identity/sessions',
      '/delegations?whose=all',
      '/delegations/new?agent=agent-bearer&template=refund-order',
      '/identity/trust-domain',
      '/identity/keys',
      '/agents/agent-bearer/identity',
      '/tools',
    ];
    for (const scheme of ['light', 'dark'] as const) {
      for (const size of [
        { width: 1280, height: 900 },
        { width: 360, height: 780 },
      ]) {
        const { page, faults } = await open({ scheme, size });
        await signIn(page);
        for (const path of paths) {
          await page.goto(workspace.url + path);
          await page.getByRole('heading', { level: 1 }).waitFor();
          await page.waitForFunction(() => !document.querySelector('.mantine-Skeleton-root, [aria-busy="true"]'));
          await picture(page, `${path.replaceAll(/[^a-z-]+/g, '_')}-${scheme}-${size.width}`);
          assert.deepEqual(await auditPage(page), [], `${path}, ${scheme}, ${size.width} px`);
        }
        assert.deepEqual(faults, []);
        await page.context().close();
      }
    }
  });
});

/** For looking at: only where a directory is given. */
async function picture(page: Page, name: string): Promise<void> {
  const directory = process.env.GATEHOUSE_TEST_PICTURES;
  if (!directory) return;
  mkdirSync(directory, { recursive: true });
  await page.screenshot({ path: join(directory, `${name}.png`), fullPage: true });
}
