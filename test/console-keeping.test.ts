import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const browser = (await launchChromium()) as Browser;
const skip = browser ? false : 'Chromium is missing: see above';
const SECOND = 'second@example.test';
let workspace: Workspace;
let assets: ReturnType<typeof builtConsole>;
const { open, signIn } = visitors(browser, () => workspace);

before(async () => {
  if (skip) return;
  assets = builtConsole();
  workspace = await startWorkspace({ consoleDir: assets.directory });
  await workspace.apply([...manifests(), { kind: 'Person', email: SECOND, displayName: 'Second', roles: ['admin'] }]);
});
after(async () => {
  if (skip) return;
  await browser.close();
  await workspace.close();
  assets.remove();
});

/** @proves console.keeping */
test('a hold and an erasure are asked for in the console by one person and settled by another', { skip }, async () => {
  const [first, second, auditor] = await Promise.all([open(), open(), open()]);
  await signIn(first.page, 'owner@example.test');
  await signIn(second.page, SECOND);
  await signIn(auditor.page, 'auditor@example.test');
  for (const { page } of [first, second, auditor]) await page.goto(`${workspace.url}/log`);
  assert.ok(await auditor.page.getByRole('button', { name: 'Place a legal hold' }).isDisabled());

  await first.page.getByRole('button', { name: 'Place a legal hold' }).click();
  const dialog = first.page.getByRole('dialog');
  assert.ok(await dialog.getByRole('button', { name: 'Hold', exact: true }).isDisabled(), 'of something, and why');
  await dialog.getByLabel('Ticket').fill('CASE-7');
  await dialog.getByLabel('From').fill('2026-01-31T12:00');
  await dialog.getByLabel('Reason').fill('litigation');
  await dialog.getByRole('button', { name: 'Hold', exact: true }).click();
  await first.page.getByText('“litigation”').waitFor();
  const { items: holds } = await workspace.operator('GET /holds');
  assert.equal(holds[0]?.scope.ticket, 'CASE-7');
  assert.match(holds[0]?.scope.from ?? '', /^2026-01-3\dT\d\d:\d\d:00\.000Z$/);
  await first.page.getByRole('button', { name: 'Ask for its end' }).click();
  await first.page.getByText('asks for its end').waitFor();
  assert.ok(await first.page.getByRole('button', { name: 'Agree' }).isDisabled(), 'nobody agrees with themselves');
  await second.page.getByRole('button', { name: 'Agree' }).click();
  await second.page.getByText('“litigation”').waitFor({ state: 'detached' });

  await first.page.getByRole('button', { name: 'Ask for an erasure' }).click();
  await dialog.getByLabel('Person').fill('zoe@example.test');
  await dialog.getByLabel('Reason').fill('erasure request 17');
  await dialog.getByRole('button', { name: 'Ask for it' }).click();
  await first.page.getByText('It waits for a second person').waitFor();
  await second.page.getByRole('button', { name: 'See what it takes' }).click();
  await second.page.getByText('It is about 0 actions; a hold keeps 0 of them.').waitFor();
  await second.page.getByRole('button', { name: 'Agree' }).click();
  await second.page.getByText(/(running|done): 0 bodies erased/).waitFor();
  const { items: erasures } = await workspace.operator('GET /erasures');
  assert.deepEqual([erasures[0]?.scope, erasures[0]?.agreedBy], [{ person: 'zoe@example.test' }, `person:${SECOND}`]);
  assert.deepEqual([...first.faults, ...second.faults, ...auditor.faults], []);
});
