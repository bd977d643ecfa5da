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
const EMAIL = 'anna@example.com';

describe('held results, in the console', { skip }, () => {
  let workspace: Workspace;
  let assets: ReturnType<typeof builtConsole>;
  let server: RawServer;
  let ran = 0;

  before(async () => {
    assets = builtConsole();
    server = await startRawServer({
      era: '2026-07-28',
      tools: [{ name: 'export', inputSchema: { type: 'object', properties: {} } }],
      answer: () => {
        ran++;
        const structuredContent = { rows: Array.from({ length: 200 }, (_, id) => ({ id, email: EMAIL })) };
        return { result: { resultType: 'complete', content: [{ type: 'text', text: 'done' }], structuredContent } };
      },
    });
    workspace = await startWorkspace({ consoleDir: assets.directory });
    await workspace.apply([
      ...manifests().filter(({ kind }) => kind !== 'Template'),
      {
        kind: 'ToolServer',
        name: 'crm',
        environments: ['production'],
        transport: { type: 'http', url: server.url, allowPrivateAddress: true },
        tools: { export: { tier: 1, effects: ['read'], hold: { items: 50 } } },
      },
      { kind: 'Template', name: 'all', allow: [{ tools: ['crm/*'] }] },
      { kind: 'Template', name: 'refund-order', allow: [{ tools: ['crm/export'] }] },
    ]);
  });
  after(async () => {
    await browser.close();
    await workspace.close();
    await server.close();
    assets.remove();
  });

  const { open, signIn } = visitors(browser, () => workspace);

  /** @proves result.held-for-people */
  test('one is listed with its size and why, never with what it says; a passkey releases it, and the agent gets it once', async () => {
    const { page, faults } = await open();
    await signIn(page, 'owner@example.test');
    await page.goto(`${workspace.url}/approvals`);
    await page.getByText('No result is held').waitFor();

    const agent = await workspace.agent('agent-a');
    const task = await agent.startTask({ template: 'all', intent: 'report' });
    const client = new Client({ name: 't', version: '1' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
    await client.connect(createMcpTransport(task));
    const call = () => client.callTool({ name: 'crm__export', arguments: {} });
    assert.ok((await call()).isError);

    await page.reload();
    const row = page.getByRole('table', { name: 'Held results' }).getByRole('row').filter({ hasText: 'crm/export' });
    await row.filter({ hasText: 'waits' }).waitFor();
    assert.match((await row.textContent()) ?? '', /agent-a.*200 items \(at most 50\)/);
    await row.getByRole('link').first().click();
    await page.getByRole('button', { name: /passkey/ }).waitFor();
    assert.ok(!(await page.content()).includes(EMAIL), 'nobody is shown what it says');
    await page.getByRole('button', { name: /passkey/ }).click();
    await page.getByRole('button', { name: /passkey/ }).waitFor({ state: 'detached' });

    const given = await call();
    assert.ok(!given.isError && JSON.stringify(given).includes(EMAIL));
    assert.equal(ran, 1, 'what was released did not run again');
    await page.goto(`${workspace.url}/approvals`);
    await page.getByText('No result is held').waitFor();
    assert.deepEqual(faults, []);
    await client.close();
  });
});
