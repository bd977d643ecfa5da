import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import type { Browser } from 'playwright-core';
import { type RawServer, startRawServer } from '../packages/server/src/gate/mcp/testing/raw-server.ts';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const browser = (await launchChromium()) as Browser;
const skip = browser ? false : 'Chromium is missing: see above';

describe('actions of which nobody knows whether they ran, in the console', { skip }, () => {
  let workspace: Workspace;
  let assets: ReturnType<typeof builtConsole>;
  let server: RawServer;

  before(async () => {
    assets = builtConsole();
    server = await startRawServer({
      era: '2025-11-25',
      tools: [{ name: 'wire', inputSchema: { type: 'object', properties: { to: { type: 'string' } } } }],
      answer: () => null,
    });
    workspace = await startWorkspace({ consoleDir: assets.directory });
    await workspace.apply([
      ...manifests().filter(({ kind }) => kind !== 'Template'),
      {
        kind: 'ToolServer',
        name: 'bank',
        environments: ['production'],
        transport: { type: 'http', url: server.url, allowPrivateAddress: true },
        tools: { wire: { tier: 2, effects: ['pay'] } },
      },
      { kind: 'Template', name: 'all', allow: [{ tools: ['bank/*'] }] },
      { kind: 'Template', name: 'refund-order', allow: [{ tools: ['bank/wire'] }] },
    ]);
  });
  after(async () => {
    await browser.close();
    await workspace.close();
    await server.close();
    assets.remove();
  });

  const { open, signIn } = visitors(browser, () => workspace);

  /** @proves unknown.resolved, unknown.not-repeated */
  test('the overview leads to one, its owner says what came of it, and who is asked to repeat it is shown the first', async () => {
    const { page, faults } = await open();
    await signIn(page, 'owner@example.test');
    const agent = await workspace.agent('agent-a');
    const task = await agent.startTask({ template: 'all', intent: 'wire' });
    const client = new Client({ name: 't', version: '1' }, { versionNegotiation: { mode: 'legacy' } });
    await client.connect(createMcpTransport(task));
    const call = () => client.callTool({ name: 'bank__wire', arguments: { to: 'Z' } });
    assert.ok((await call()).isError);
    assert.ok((await call()).isError);

    await page.goto(`${workspace.url}/approvals`);
    await page.getByText('It may have run already').waitFor();
    await page.getByRole('link', { name: 'Look at the first one' }).click();
    await page.getByRole('heading', { name: 'What came of it' }).waitFor();

    await page.goto(workspace.url);
    await page.getByRole('heading', { name: 'Nobody knows whether these ran' }).waitFor();
    await page.getByRole('table', { name: 'Actions whose outcome is unknown' }).getByText('bank').first().click();
    await page.getByRole('button', { name: 'Say what happened' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('It has happened').check();
    await dialog.getByLabel('Note').fill('It is in the account.');
    await dialog.getByLabel('Reference').fill('re_91');
    await dialog.getByRole('button', { name: 'Record it' }).click();
    await page.getByText('re_91').first().waitFor();
    await page.getByText('Found out what came of it').first().waitFor();
    const { items } = await workspace.operator('GET /unknown-actions');
    assert.deepEqual(items, []);
    assert.deepEqual(faults, []);
    await client.close();
  });
});
