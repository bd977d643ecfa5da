import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import type { Browser } from 'playwright-core';
import { type FakeOAuthSystem, startFakeOAuthSystem } from './fakes/oauth-systems.ts';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const browser = (await launchChromium()) as Browser;

describe('accounts, in the console', { skip: browser ? false : 'Chromium is missing: see above' }, () => {
  let workspace: Workspace;
  let google: FakeOAuthSystem;
  let assets: ReturnType<typeof builtConsole>;
  const scope = 'https://www.googleapis.com/auth/calendar.readonly';

  before(async () => {
    assets = builtConsole();
    google = await startFakeOAuthSystem('google', 'client-secret-for-tests-77aa');
    workspace = await startWorkspace({ consoleDir: assets.directory });
    await workspace.operator('PUT /secrets/:name', {
      params: { name: 'client' },
      body: { value: google.clientSecret, origins: [google.origin] },
    });
    const provider: ManifestInput = {
      ...{ kind: 'CredentialProvider', name: 'google', environments: ['production'] },
      from: {
        ...{ type: 'oauth', system: 'google', url: google.origin, clientId: 'client-1', secret: 'client' },
        ...{ scopes: [scope, 'https://www.googleapis.com/auth/gmail.send'], allowPrivateAddress: true },
        for: ['https://calendar.example.test'],
      },
    };
    await workspace.apply([...manifests(), provider]);
  });
  after(async () => {
    await browser.close();
    await workspace?.close();
    google?.close();
    assets.remove();
  });
  const { open, signIn } = visitors(browser, () => workspace);

  /** @proves console.accounts */
  test('a person lets an agent use their account by the address that a refused call names, sees it, and takes it back', async () => {
    const { page } = await open();
    await signIn(page, 'owner@example.test');
    await page.goto(
      `${workspace.url}/accounts?${new URLSearchParams({ provider: 'google', agent: 'agent-a', scopes: scope })}`,
    );
    await page.getByText('No agent uses an account of yours').waitFor();
    await page.getByRole('button', { name: 'Show what I would grant' }).click();
    await page.getByRole('listitem').filter({ hasText: scope }).waitFor();
    assert.equal(await page.getByText('gmail.send').count(), 0, 'what was asked for, and no more');
    await page.getByRole('listitem').filter({ hasText: 'https://calendar.example.test' }).waitFor();
    await page.getByRole('link', { name: 'Go on to grant it' }).click();
    await page.getByRole('heading', { name: 'Connected' }).waitFor();
    assert.equal(google.asked.at(-1)?.get('scope'), scope);

    await page.goto(`${workspace.url}/accounts`);
    const row = page.getByRole('row').filter({ hasText: 'agent-a' });
    await row.getByText('connected', { exact: true }).waitFor();
    await row.getByRole('button', { name: /^Disconnect google/ }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Disconnect' }).click();
    await page.getByText('No agent uses an account of yours').waitFor();
    assert.equal(google.refreshTokens.size, 0);
    await page.context().close();
  });
});
