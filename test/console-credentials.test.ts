import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ManifestInput, ShownLease } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import pg from 'pg';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { auditPages } from './support/page-audit.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from './support/postgres.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const browser = (await launchChromium()) as Browser;
const postgres = browser ? await startPostgres() : undefined;
const skip = !browser ? 'Chromium is missing: see above' : postgres ? false : 'there is no PostgreSQL on this machine';
const program = join(import.meta.dirname, 'support', 'orders-server.ts');
const PASSWORD = 'broker-password';

describe('credentials, in the console', { skip }, () => {
  let workspace: Workspace;
  let assets: ReturnType<typeof builtConsole>;
  let database: TestDatabase;
  let root: pg.Client;
  const clients: Client[] = [];
  let agent: Awaited<ReturnType<Workspace['agent']>> | undefined;

  before(async () => {
    database = await (postgres as TestPostgres).createDatabase();
    root = new pg.Client(database.url);
    await root.connect();
    const broker = `broker_${database.name}`;
    await root.query(`create table orders (id int, total int); create table refunds (id int);
      insert into orders values (1042, 40);
      create role ${broker} login createrole password '${PASSWORD}';
      grant connect on database ${database.name} to ${broker} with grant option;
      grant usage on schema public to ${broker} with grant option;
      grant select on orders, refunds to ${broker} with grant option;
      grant pg_signal_backend to ${broker}`);
    assets = builtConsole();
    workspace = await startWorkspace({ consoleDir: assets.directory });
    await workspace.apply(manifests());
  });
  after(async () => {
    await browser.close();
    await Promise.allSettled(clients.map((client) => client.close()));
    await workspace?.close();
    await root?.end();
    await database?.drop();
    await postgres?.close();
    assets.remove();
  });

  const { open, signIn } = visitors(browser, () => workspace);

  async function declare(): Promise<void> {
    const at = new URL(database.url);
    await workspace.operator('PUT /secrets/:name', {
      params: { name: 'orders-broker' },
      body: { value: PASSWORD, origins: [`postgres://${at.host}`] },
    });
    const orders: ManifestInput = {
      kind: 'ToolServer',
      name: 'orders',
      environments: ['production'],
      transport: {
        type: 'stdio',
        command: 'node',
        args: ['--disable-warning=ExperimentalWarning', program],
        env: { PGHOST: at.hostname, PGPORT: at.port, PGDATABASE: database.name },
        credential: {
          provider: 'orders-db',
          scope: { grants: [{ tables: ['orders'], privileges: ['SELECT'] }] },
          env: { PGUSER: '{username}', PGPASSWORD: '{password}' },
        },
      },
      tools: { query: { tier: 1, effects: ['read'] }, leak: { tier: 3, effects: ['read'] } },
    };
    await workspace.apply([
      ...manifests().filter(({ kind, name }: { kind: string; name?: string }) => kind !== 'Template' || name !== 'all'),
      { kind: 'Template', name: 'all', allow: [{ tools: ['shop/*', 'orders/*'] }] },
      {
        kind: 'CredentialProvider',
        name: 'orders-db',
        environments: ['production'],
        from: {
          type: 'postgres',
          url: `postgres://broker_${database.name}@${at.host}/${database.name}`,
          secret: 'orders-broker',
          grants: [{ tables: ['orders', 'refunds'], privileges: ['SELECT'] }],
          tls: 'off',
        },
      },
      orders,
    ]);
  }

  async function begin() {
    agent ??= await workspace.agent('agent-a');
    const task = await agent.startTask({ template: 'all', intent: 'look up an order' });
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
    clients.push(client);
    return { task, client };
  }
  const query = async (client: Client) =>
    JSON.stringify(
      await client.callTool({ name: 'orders__query', arguments: { sql: 'select current_user, total from orders' } }),
    );
  const roles = async () => (await root.query("select 1 from pg_roles where rolname like 'gh\\_%'")).rowCount;
  const goTo = async (page: Page, path: string) => {
    await page.goto(workspace.url + path);
    await page.getByRole('heading', { level: 1 }).waitFor();
  };

  /** @proves console.providers */
  test('a provider is declared as the page says, and says what it can do; tested, it shows both times, or what is wrong', async () => {
    const { page, faults } = await open();
    await signIn(page, 'owner@example.test');
    await goTo(page, '/leases');
    await page.getByText('No credential is out').waitFor();
    await page.getByRole('link', { name: 'Providers' }).click();
    await page.getByText('No provider is declared').waitFor();
    await declare();
    const row = page.getByRole('row').filter({ hasText: 'orders-db' });
    await row.getByText('PostgreSQL role').waitFor();
    await row.getByText('when revoked, it and its sessions are ended at once').waitFor();
    await row.getByText('ok', { exact: true }).waitFor();
    await row.getByRole('button', { name: 'Test orders-db' }).click();
    await row.getByText(/issued in .* verified gone after/).waitFor();

    await root.query(`alter role broker_${database.name} nologin`);
    await root.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gatehouse credentials'",
    );
    await row.getByRole('button', { name: 'Test orders-db' }).click();
    await row.getByText(/Nothing was issued: .*not permitted to log in/).waitFor();
    await row.getByText('failing').waitFor();
    await row.getByText(/since .*(permitted to log in|not).*/).waitFor();
    assert.doesNotMatch(await page.content(), new RegExp(PASSWORD));
    await root.query(`alter role broker_${database.name} login`);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  /** @proves console.leases */
  test('a credential shows as it is made, with what it may do; by keys alone it is ended, and the page says when it is verified to be gone', async () => {
    const { page, faults } = await open();
    await signIn(page, 'owner@example.test');
    await goTo(page, '/leases');
    await page.getByText('No credential is out').waitFor();
    const { task, client } = await begin();
    assert.match(await query(client), /40/);
    const row = page.getByRole('table', { name: 'Leases' }).getByRole('row').filter({ hasText: 'agent-a' });
    await row.getByText('SELECT on public.orders').waitFor();
    await row.getByText('In use').waitFor();
    await row.getByText('its sessions are ended at once').waitFor();

    await row.getByRole('link').first().click();
    await page.getByRole('button', { name: 'Renew' }).click();
    await page.getByRole('alert').filter({ hasText: 'It works until' }).waitFor();
    await page.getByRole('list', { name: 'History' }).getByText('Renewed once').waitFor();
    await page.getByRole('link', { name: 'Leases' }).click();
    await row.waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('e');
    const dialog = page.getByRole('dialog');
    await dialog.getByText('SELECT on public.orders').waitFor();
    await page.keyboard.type('seen at night');
    await page.keyboard.press('Enter');
    await dialog.getByText('is verified to be gone').waitFor();
    assert.equal(await roles(), 0);
    await page.keyboard.press('Enter');
    await page.getByText('No credential is out').waitFor();

    await goTo(page, `/leases?state=all&task=${task.id}`);
    // Until the filter has been answered the table shows what it showed before.
    const [ended] = (await workspace.operator('GET /leases', { query: { task: task.id } })).items;
    await page.getByRole('table', { name: 'Leases' }).locator(`a[href$="/leases/${ended?.id}"]`).first().click();
    const history = page.getByRole('list', { name: 'History' });
    await history.getByText('seen at night, by owner@example.test').waitFor();
    await history.getByText('Verified to be gone').waitFor();
    await page
      .getByRole('table', { name: 'Calls made with this credential' })
      .getByRole('link', { name: 'orders/query' })
      .waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
    await task.end();
  });

  test('all that a filter shows is ended in one move', async () => {
    const { page, faults } = await open();
    await signIn(page, 'owner@example.test');
    const all = await Promise.all([begin(), begin()]);
    await Promise.all(all.map(({ client }) => query(client)));
    await goTo(page, '/leases?provider=orders-db');
    await page.getByRole('button', { name: 'Revoke all 2 shown' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('of orders-db, for agent-a').waitFor();
    await dialog.getByRole('button', { name: 'Revoke 2 now' }).click();
    await page.getByRole('alert').filter({ hasText: '2 credentials being ended' }).waitFor();
    await page.getByText('No credential fits this filter').waitFor();
    assert.equal(await roles(), 0);
    assert.deepEqual(faults, []);
    await page.context().close();
    await Promise.all(all.map(({ task }) => task.end()));
  });

  /** @proves console.made-with */
  test('a call that waits says what it is made with; the task and the agent say what is out, to who may not end it as well', async () => {
    const { task, client } = await begin();
    await query(client);
    const waiting = client.callTool({ name: 'orders__leak', arguments: {} }).catch(() => undefined);
    const { page, faults } = await open();
    await signIn(page, 'auditor@example.test');
    await goTo(page, '/approvals');
    await page.getByRole('link', { name: 'orders/leak' }).click();
    const made = page.getByRole('region', { name: 'Before you decide' });
    await made.getByText('a PostgreSQL role of orders-db').waitFor();
    await made.getByText('SELECT on public.orders').waitFor();
    await made.getByText('its sessions are ended at once').waitFor();
    for (const path of [`/tasks/${task.id}`, '/agents/agent-a', `/leases?agent=agent-a`]) {
      await goTo(page, path);
      const end = page.getByRole('button', { name: /Revoke gh_\w+ now/ });
      await end.waitFor();
      assert.ok(await end.isDisabled(), path);
      assert.match((await end.getAttribute('title')) ?? '', /security or an admin can end/);
    }
    await page.context().close();
    assert.deepEqual(faults, []);
    await task.end();
    await waiting;
    for (const giveUpAt = Date.now() + 60_000; (await roles()) !== 0; await delay(50)) assert.ok(Date.now() < giveUpAt);
  });

  /** @proves console.stuck-leases */
  test('what could not be ended stands above all, with what to do; every page can be read in light and dark, wide and narrow', async () => {
    const { task, client } = await begin();
    await query(client);
    const [lease] = (await workspace.operator('GET /leases', { query: { task: task.id } })).items;
    assert.ok(lease);
    const now = Date.now();
    const stuck: ShownLease = {
      ...lease,
      state: 'stuck',
      revokingAt: now - 240_000,
      attempts: 7,
      nextTryAt: now + 20_000,
      problem: 'connect ECONNREFUSED 10.0.0.7:5432',
      reason: 'the task is over (gatehouse)',
    };
    const remaining: ShownLease = {
      ...lease,
      id: `${lease.id.slice(0, -1)}x`,
      provider: 'cloud',
      ungated: true,
      scope: { repositories: ['shop/web'], permissions: { contents: 'read' } },
      maxResidualSeconds: null,
      kind: {
        type: 'aws',
        abilities: {
          canNarrow: true,
          canRenew: false,
          canRevoke: false,
          canEndSessions: false,
          maxResidualSeconds: null,
        },
      },
    };
    const standIn = async (page: Page) => {
      await page.route('**/api/v1/leases?**', (route) =>
        route.fulfill({
          json: {
            items: route.request().url().includes('state=stuck') ? [stuck] : [stuck, lease, remaining],
            cursor: null,
          },
        }),
      );
      await page.route(`**/api/v1/leases/${lease.id}`, (route) => route.fulfill({ json: stuck }));
    };
    const { page } = await open();
    await signIn(page, 'owner@example.test');
    await standIn(page);
    await goTo(page, '/leases');
    const trouble = page.getByRole('article').filter({ hasText: 'orders-db' });
    await trouble.getByText('7 attempts have failed').waitFor();
    await trouble.getByText('ECONNREFUSED').waitFor();
    await trouble.getByRole('list', { name: 'What to do' }).getByText(lease.name).waitFor();
    let asked: unknown;
    await page.route(`**/api/v1/leases/${lease.id}/drop`, (route) => {
      asked = route.request().postDataJSON();
      return route.fulfill({ json: stuck });
    });
    await trouble.getByRole('button', { name: 'Ask to give it up' }).click();
    await page.getByLabel('Why (goes into the record').fill('its system is gone');
    await page.getByRole('dialog').getByRole('button', { name: 'Ask', exact: true }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    assert.deepEqual(asked, { reason: 'its system is gone' });
    await trouble.getByRole('button', { name: 'Test orders-db' }).click();
    await trouble.getByText(/verified gone after/).waitFor();
    await page
      .getByRole('row')
      .filter({ hasText: 'ungated' })
      .getByText(/can’t be taken back: works until/)
      .waitFor();
    await page.getByTitle('1 credentials that could not be ended').waitFor();
    await page.route('**/api/v1/status', async (route) => {
      const problem = { what: 'credentials', words: '1 credential of orders-db could not be ended', page: '/leases' };
      const response = await route.fetch();
      await route.fulfill({ json: { ...(await response.json()), health: { state: 'ailing', problems: [problem] } } });
    });
    await goTo(page, '/');
    const health = page.getByRole('region', { name: 'Gatehouse works, and this needs somebody' });
    await health.getByText('1 credential of orders-db could not be ended').waitFor();
    await health.getByRole('link', { name: 'Stuck credentials' }).click();
    await page.waitForURL('**/leases?state=stuck');
    await page.goto(`${workspace.url}/credentials`);
    await page.waitForURL('**/leases');
    await page.context().close();

    await auditPages({
      url: workspace.url,
      paths: ['/leases', `/leases/${lease.id}`, '/providers'],
      narrow: { width: 390, height: 844 },
      open: async (how) => {
        const opened = await open(how);
        await signIn(opened.page, 'owner@example.test');
        await standIn(opened.page);
        return opened;
      },
    });
    await task.end();
  });

  /** @proves secrets.rotated */
  test('who sets secrets rotates the one that a provider signs in with, and is offered it for no other', async () => {
    await workspace.operator('PUT /secrets/:name', {
      params: { name: 'unused' },
      body: { value: 'nothing names it', origins: ['https://api.example'] },
    });
    const { page, faults } = await open();
    await signIn(page, 'owner@example.test');
    await page.goto(`${workspace.url}/secrets`);
    const rows = page.getByRole('table', { name: 'Secrets' }).getByRole('row');
    await rows.filter({ hasText: 'unused' }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Rotate unused' }).count(), 0);
    await page.getByRole('button', { name: 'Rotate orders-broker' }).click();
    const dialog = page.getByRole('dialog', { name: 'Rotate orders-broker' });
    await dialog.getByText('orders-db signs in as').waitFor();
    await dialog.getByRole('button', { name: 'Rotate', exact: true }).click();
    await dialog.waitFor({ state: 'hidden' });
    const { items } = await workspace.operator('GET /records', { query: { operation: 'secret.rotated' } });
    assert.equal(items.length, 1);
    assert.deepEqual(faults, []);
    await page.context().close();
  });
});
