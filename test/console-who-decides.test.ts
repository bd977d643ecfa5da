import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import type { Browser } from 'playwright-core';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const browser = (await launchChromium()) as Browser;
const skip = browser ? false : 'Chromium is missing: see above';
const email = (name: string) => `${name}@example.test`;

const finance = ['fin-1', 'fin-2', 'fin-3'];

describe('who decides, in the console', { skip }, () => {
  let workspace: Workspace;
  let assets: ReturnType<typeof builtConsole>;

  before(async () => {
    assets = builtConsole();
    workspace = await startWorkspace({ consoleDir: assets.directory });
    const cedar =
      '@tier("3") @approvers("two-from-finance") forbid(principal, action == Gatehouse::Action::"shop/refund_order", resource);';
    await workspace.apply([
      ...manifests({ policies: { refunds: cedar } }),
      ...finance.map(
        (name): ManifestInput => ({ kind: 'Person', email: email(name), displayName: name, roles: ['auditor'] }),
      ),
      { kind: 'Group', name: 'finance', members: finance.slice(0, 2).map(email) },
      { kind: 'ApprovalRule', name: 'two-from-finance', steps: [{ approve: 2, from: ['group:finance'] }] },
    ]);
  });
  after(async () => {
    await browser.close();
    await workspace.close();
    assets.remove();
  });

  const { open, signIn } = visitors(browser, () => workspace);

  /** @proves console.who-decides */
  test('two people say yes, one of them as a deputy whom the other has named with a passkey; the page shows how far it is', async () => {
    const agent = await workspace.agent('agent-a');
    const task = await agent.startTask({ template: 'all', intent: 'refund' });
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
    const args = { order: 1042, amount_cents: 10, currency: 'EUR', reason: 'test' };
    const call = () => client.callTool({ name: 'shop__refund_order', arguments: args });
    const waiting = (await call())._meta?.['gatehouse/approval'] as { id: string } | undefined;
    assert.ok(waiting);
    const { id } = waiting;

    const first = await open();
    await signIn(first.page, email('fin-1'));
    await first.page.goto(`${workspace.url}/approvals/${id}`);
    const rule = first.page.getByRole('region', { name: 'Who decides' });
    await rule.getByText('2 of group:finance: 2 missing').waitFor();
    await first.page.getByRole('button', { name: 'Approve with passkey' }).click();
    await rule.getByText('2 of group:finance: 1 missing').waitFor();
    await rule.getByText('fin-1@example.test (group:finance)').waitFor();
    await first.page.getByText('You have said yes. It waits for somebody else.').waitFor();

    const away = await open();
    await signIn(away.page, email('fin-2'));
    await away.page.goto(`${workspace.url}/settings`);
    await away.page.getByRole('button', { name: 'Name a deputy' }).click();
    const dialog = away.page.getByRole('dialog');
    await dialog.getByLabel('Email').fill(email('fin-3'));
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 16);
    await dialog.getByLabel('Until').fill(tomorrow);
    await dialog.getByRole('button', { name: 'Sign with passkey' }).click();
    await away.page.getByRole('table', { name: 'Deputies' }).getByText(email('fin-3')).waitFor();

    const deputy = await open();
    await signIn(deputy.page, email('fin-3'));
    await deputy.page.goto(`${workspace.url}/approvals/${id}`);
    await deputy.page.getByRole('button', { name: 'Approve with passkey' }).click();
    await deputy.page.getByText('fin-3@example.test for fin-2@example.test').waitFor();
    assert.equal((await call()).isError ?? false, false);
    for (const { faults } of [first, away, deputy]) assert.deepEqual(faults, []);
  });

  /** @proves console.deputies */
  test('what an admin proposes for somebody is not theirs to confirm; the person signs it in the browser, and withdraws it', async () => {
    const admin = await open();
    await signIn(admin.page, email('owner'));
    await admin.page.goto(`${workspace.url}/identity/people/${email('fin-1')}`);
    await admin.page.getByRole('button', { name: 'Propose a deputy' }).click();
    const dialog = admin.page.getByRole('dialog');
    await dialog.getByLabel('Email').fill(email('fin-3'));
    await dialog.getByLabel('Until').fill(new Date(Date.now() + 86_400_000).toISOString().slice(0, 16));
    await dialog.getByLabel('Why (optional)').fill('on leave');
    await dialog.getByRole('button', { name: 'Propose' }).click();
    const proposed = admin.page.getByRole('table', { name: 'Deputies' });
    await proposed.getByText('proposed').waitFor();
    assert.equal(await proposed.getByRole('button', { name: `Confirm ${email('fin-3')}` }).count(), 0);

    const person = await open();
    await signIn(person.page, email('fin-1'));
    await person.page.goto(`${workspace.url}/settings`);
    const own = person.page.getByRole('table', { name: 'Deputies' });
    await own.getByText('proposed').waitFor();
    await own.getByRole('button', { name: `Confirm ${email('fin-3')}` }).click();
    await person.page
      .getByRole('dialog')
      .getByText(`${email('owner')} proposes`)
      .waitFor();
    await person.page.getByRole('button', { name: 'Sign with passkey' }).click();
    await own.getByText('in force').waitFor();
    const { items } = await workspace.operator('GET /deputies', { query: { person: email('fin-1') } });
    assert.deepEqual(
      items.map(({ person: of, deputy, state, reason }) => [of, deputy, state, reason]),
      [[email('fin-1'), email('fin-3'), 'in-force', 'on leave']],
    );

    await own.getByRole('button', { name: `Withdraw ${email('fin-3')}` }).click();
    await person.page.getByRole('dialog').getByRole('button', { name: 'Withdraw' }).click();
    await own.getByText('in force').waitFor({ state: 'hidden' });
    assert.deepEqual((await workspace.operator('GET /deputies', { query: { person: email('fin-1') } })).items, []);
    for (const { faults } of [admin, person]) assert.deepEqual(faults, []);
  });
});
