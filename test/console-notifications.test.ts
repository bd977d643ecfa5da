import assert from 'node:assert/strict';
import { appendFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import type { Browser, Page, Worker } from 'playwright-core';
import { type FakePushService, startFakePushService } from './fakes/push-service.ts';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const browser = (await launchChromium()) as Browser;
const skip = browser ? false : 'Chromium is missing: see above';
const approver = 'approver@example.test';

/**
 * The console as an installed app. The headless browser has a service worker and takes pushes through DevTools, but has neither a push service nor a
 * place to show notifications in: the first is the fake one, and what the worker shows is written down in it.
 */
describe('the installed console', { skip }, () => {
  let workspace: Workspace;
  /** A copy, of which there can be a new version. */
  const consoleDir = mkdtempSync(join(tmpdir(), 'gatehouse-console-copy-'));
  let service: FakePushService;
  let client: Client;

  before(async () => {
    const built = builtConsole();
    cpSync(built.directory, consoleDir, { recursive: true });
    built.remove();
    service = await startFakePushService();
    workspace = await startWorkspace({ consoleDir });
    await workspace.apply([
      ...manifests(),
      {
        kind: 'Channel',
        name: 'push',
        allowPrivateAddress: true,
        ca: service.ca,
        push: { services: [service.host] },
      },
    ]);
    const task = await (await workspace.agent('agent-a')).startTask({ template: 'all', intent: 'Refund' });
    client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
  });
  after(async () => {
    await browser.close();
    await client.close();
    await workspace.close();
    service.close();
    rmSync(consoleDir, { recursive: true });
  });

  const { open, signIn } = visitors(browser, () => workspace);

  async function ask(): Promise<string> {
    const args = { order: 1042, amount_cents: 1 + Math.floor(Math.random() * 1e6), currency: 'EUR', reason: 'broken' };
    const answer = await client.callTool({ name: 'shop__refund_order', arguments: args });
    const waiting = answer._meta?.['gatehouse/approval'] as { id: string } | undefined;
    assert.ok(waiting);
    return waiting.id;
  }

  /** What the headless browser lacks: leave to notify, and a push service. */
  async function giveItPush(page: Page): Promise<void> {
    const { publicKey } = await (await workspace.person('owner@example.test', { recovery: true })).api('GET /push');
    const given = service.browser(publicKey ?? '');
    await page.addInitScript(({ endpoint, keys }) => {
      let key: string | null = localStorage.getItem('fake-push');
      const subscription = {
        endpoint,
        toJSON: () => ({ endpoint, keys }),
        unsubscribe: async () => {
          key = null;
          localStorage.removeItem('fake-push');
          return true;
        },
      };
      Object.defineProperty(Notification, 'permission', { get: () => 'granted' });
      Notification.requestPermission = async () => 'granted';
      PushManager.prototype.getSubscription = async () => (key === null ? null : (subscription as never));
      PushManager.prototype.subscribe = async (options) => {
        key = String(options?.applicationServerKey);
        localStorage.setItem('fake-push', key);
        return subscription as never;
      };
    }, given);
  }

  async function workerOf(page: Page) {
    await page.evaluate(async () => void (await navigator.serviceWorker.ready));
    const context = page.context();
    const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent('serviceworker'));
    await worker.evaluate(() => {
      const scope = self as never as { shown: unknown[]; registration: ServiceWorkerRegistration };
      scope.shown = [];
      ServiceWorkerRegistration.prototype.showNotification = async (title, options) => {
        scope.shown.push({ title, ...options });
      };
    });
    const devtools = await context.newCDPSession(page);
    const registration = new Promise<string>((resolve) =>
      devtools.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
        const [first] = registrations;
        if (first) resolve(first.registrationId);
      }),
    );
    await devtools.send('ServiceWorker.enable');
    const registrationId = await registration;
    return {
      worker,
      devtools,
      push: (data: string) =>
        devtools.send('ServiceWorker.deliverPushMessage', { origin: workspace.url, registrationId, data }),
    };
  }

  const shownIn = (worker: Worker) =>
    worker.evaluate(() => (self as never as { shown: Record<string, unknown>[] }).shown);

  async function until<T>(look: () => Promise<T | undefined> | T | undefined, what: string): Promise<T> {
    for (let tries = 0; tries < 1_200; tries++) {
      const found = await look();
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`never: ${what}`);
  }

  /** @proves console.installable */
  test('it can be installed, keeps its own files and nothing of what the API says, and says honestly that it is offline', async () => {
    const { page, faults } = await open({ worker: true });
    await signIn(page, approver);
    const { devtools } = await workerOf(page);
    const { url, errors, data } = await devtools.send('Page.getAppManifest');
    assert.deepEqual([url, errors], [`${workspace.url}/manifest.webmanifest`, []]);
    const manifest = JSON.parse(data ?? '') as { start_url: string; icons: { src: string; sizes: string }[] };
    assert.equal(manifest.start_url, '/approvals');
    const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors');
    assert.deepEqual(installabilityErrors, []);
    for (const { src, sizes } of manifest.icons) {
      const width = await page.evaluate(async (address) => {
        const image = new Image();
        image.src = address;
        await image.decode();
        return image.naturalWidth;
      }, src);
      if (sizes !== 'any') assert.equal(width, Number(sizes.split('x')[0]), src);
    }
    const served = await page.request.get(`${workspace.url}/sw.js`);
    assert.equal(served.headers()['cache-control'], 'no-cache');
    assert.match(served.headers()['content-security-policy'] ?? '', /^default-src 'none'; connect-src 'self'/);

    await page.goto(`${workspace.url}/approvals`);
    await page.getByText('Nothing waits for a person').waitFor();
    const kept = () =>
      page.evaluate(async () => {
        const urls: string[] = [];
        for (const name of await caches.keys())
          for (const { url } of await (await caches.open(name)).keys()) urls.push(new URL(url).pathname);
        return urls;
      });
    const paths = await kept();
    assert.ok(paths.length > 2, 'the shell');
    for (const path of paths) assert.match(path, /^\/assets\/[\w.-]+-[\w-]{8}\.(js|css)$/);

    // A script that somebody has put in the place of a kept one is not believed.
    const script = paths.find((path) => path.endsWith('.js')) ?? '';
    const body = await page.evaluate(async (path) => {
      const [name = ''] = await caches.keys();
      const forged = new Response('self.forged = true', { headers: { 'content-type': 'text/javascript' } });
      await (await caches.open(name)).put(path, forged);
      return (await fetch(path)).text();
    }, script);
    assert.doesNotMatch(body, /forged/);

    await page.context().setOffline(true);
    await page.goto(`${workspace.url}/approvals`);
    await page.getByRole('heading', { name: 'Gatehouse can’t be reached' }).waitFor();
    await page.getByText('Nothing is approved or denied meanwhile').waitFor();
    await page.context().setOffline(false);
    await page.getByRole('link', { name: 'Try again' }).click();
    await page.getByText('Nothing waits for a person').waitFor();
    await page.getByRole('button', { name: /settings and sign out/ }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page
      .getByRole('button', { name: /passkey/ })
      .first()
      .waitFor();
    assert.deepEqual(await kept(), [], 'signing out takes it away');
    assert.deepEqual(
      faults.filter((fault) => !/ERR_INTERNET_DISCONNECTED|503/.test(fault)),
      [],
    );
    await page.context().close();
  });

  /** @proves console.notified, push.told */
  test('turned on in the settings, a push is shown with what waits, its click leads to the page, and there it is approved by passkey', async () => {
    const { page, faults } = await open({ worker: true });
    await giveItPush(page);
    await signIn(page, approver);
    await page.goto(`${workspace.url}/settings`);
    const table = page.getByRole('table', { name: 'Browsers that notify you' });
    await page.getByRole('button', { name: 'Turn on in this browser' }).click();
    await table.getByText('this one').waitFor();
    await table.getByRole('button', { name: /Send a test/ }).click();
    await page.getByText('has taken a test').waitFor();

    const { worker, push } = await workerOf(page);
    const id = await ask();
    const { text } = await until(
      () => service.pushed.find(({ payload }) => payload.approval === id),
      'a push for the approval',
    );
    await page.goto(`${workspace.url}/approvals`);
    await push(text);
    const [shown] = await until(async () => {
      const all = await shownIn(worker);
      return all.length > 0 ? all : undefined;
    }, 'a notification');
    assert.equal(shown?.title, 'agent-a asks for shop/refund_order');
    assert.equal(shown?.tag, id);
    assert.deepEqual(shown?.data, { path: `/approvals/${id}` });
    assert.equal(shown?.actions, undefined, 'no button decides');
    await worker.evaluate((path) => {
      const { ExtendableEvent } = self as never as { ExtendableEvent: typeof Event };
      const click = new ExtendableEvent('notificationclick');
      Object.assign(click, { notification: { data: { path }, close: () => undefined }, action: '' });
      self.dispatchEvent(click);
    }, `/approvals/${id}`);
    await page.waitForURL(`${workspace.url}/approvals/${id}`);
    await page.getByRole('button', { name: 'Approve with passkey' }).click();
    const closed = await until(
      () => service.pushed.find(({ payload }) => payload.approval === id && payload.event === 'closed'),
      'that nobody is needed any more',
    );
    assert.equal(closed.topic, id);
    // What no worker understands, and what would lead elsewhere, leads to the inbox.
    for (const bad of [
      '',
      '{"event":"asked","title":"x","body":"","path":"https://evil.example/"}',
      '{"event":"asked","title":"x","body":"","path":"//evil.example/"}',
    ]) {
      const before = (await shownIn(worker)).length;
      await push(bad);
      const last = await until(async () => (await shownIn(worker))[before], 'something');
      assert.deepEqual(last.data, { path: '/approvals' });
    }
    await page.goto(`${workspace.url}/settings`);
    await table.getByRole('button', { name: /Turn off/ }).click();
    await page.getByRole('button', { name: 'Turn on in this browser' }).waitFor();

    // A new version of the console is offered, and taken when somebody says so.
    appendFileSync(join(consoleDir, 'sw.js'), '\n// another build');
    await page.evaluate(async () => void (await (await navigator.serviceWorker.ready).update()));
    await page.getByText('A new version of the console is there').waitFor();
    await page.getByRole('button', { name: 'Reload' }).click();
    await page.getByText('A new version of the console is there').waitFor({ state: 'detached' });
    await page.getByRole('heading', { name: 'Notifications' }).waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
  });
});
