import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
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

describe('evidence, in the console', { skip: browser ? false : 'Chromium is missing: see above' }, () => {
  let workspace: Workspace;
  let assets: ReturnType<typeof builtConsole>;

  before(async () => {
    assets = builtConsole();
    workspace = await startWorkspace({ consoleDir: assets.directory });
    await workspace.apply(manifests());
    const agent = await workspace.agent('agent-a');
    const client = new Client({ name: 'evidence', version: '1' });
    await client.connect(createMcpTransport(await agent.startTask({ template: 'all', intent: 'look' })));
    await client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } });
    await client.close();
  });
  after(async () => {
    await browser.close();
    await workspace.close();
    assets.remove();
  });

  const { open, signIn } = visitors(browser, () => workspace);

  /** @proves evidence.rows */
  test('an auditor makes a report, sees what each row rests on, and takes the files away', async () => {
    const { page, faults } = await open();
    await signIn(page, 'auditor@example.test');
    await page.goto(`${workspace.url}/evidence`);
    await page.getByText('No report yet').waitFor();
    await page.getByRole('button', { name: 'Make the report' }).click();
    const controls = page.getByRole('table', { name: 'Controls' });
    await controls.getByRole('row', { name: /Show the audit trail.*Met/ }).waitFor();
    await controls.getByRole('button', { name: /as they were signed/ }).click();
    await page.getByText('The record is whole').waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'PDF' }).click(),
    ]);
    assert.equal((await readFile(await download.path())).subarray(0, 5).toString(), '%PDF-');
    const [record] = (await workspace.operator('GET /records', { query: { operation: 'evidence.export' } })).items;
    assert.equal(record?.record.requested_by, 'person:auditor@example.test');
    assert.deepEqual(faults, []);
    await page.context().close();
  });
});
