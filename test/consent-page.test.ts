import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { Browser } from 'playwright-core';
import { addVirtualAuthenticator, launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { startWorkspace } from './support/workspace.ts';

const browser = (await launchChromium()) as Browser;

test('in a real browser: read, take a tool away, allow, and the client has its code', {
  skip: browser ? false : 'Chromium is missing: see above',
}, async (t) => {
  const assets = builtConsole();
  const workspace = await startWorkspace({ consoleDir: assets.directory });
  let called: (url: string) => void = () => undefined;
  const back = new Promise<string>((resolve) => {
    called = resolve;
  });
  const client = createServer((request, response) => {
    if (request.url?.startsWith('/callback')) called(request.url);
    response.end('done');
  });
  await new Promise<void>((resolve) => client.listen(0, '127.0.0.1', resolve));
  t.after(async () => {
    await browser.close();
    client.closeAllConnections();
    client.close();
    await workspace.close();
    assets.remove();
  });
  await workspace.apply([
    ...manifests(),
    { kind: 'Group', name: 'shopkeepers', members: ['owner@example.test'], allow: [{ tools: ['shop/*'] }] },
    { kind: 'Client', name: 'app', displayName: 'An application', redirectUris: ['http://127.0.0.1/callback'] },
  ]);

  const page = await (await browser.newContext({ reducedMotion: 'reduce' })).newPage();
  await addVirtualAuthenticator(page);
  const { url } = await workspace.operator('POST /people/signin-links', { body: { email: 'owner@example.test' } });
  await page.goto(url);
  await page.getByRole('button', { name: 'Use this link' }).click();
  await page.getByRole('button', { name: 'Create the passkey' }).click();
  await page.getByRole('heading', { name: 'Overview' }).waitFor();

  const redirect = `http://127.0.0.1:${(client.address() as AddressInfo).port}/callback`;
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: 'app',
    redirect_uri: redirect,
    state: 'kept',
    code_challenge: createHash('sha256').update(randomBytes(32)).digest('base64url'),
    code_challenge_method: 'S256',
  });
  await page.goto(`${workspace.url}/oauth/authorize?${query}`);
  await page.getByRole('heading', { name: 'An application asks for your consent' }).waitFor();
  await page.getByText('any program here can claim').waitFor();
  await page.getByLabel('What for').fill('look at orders');
  await page.getByRole('checkbox', { name: 'shop/refund_order' }).uncheck();
  await page.getByRole('button', { name: 'Allow', exact: true }).click();
  const answer = new URL(await back, redirect);
  assert.equal(answer.searchParams.get('state'), 'kept');
  assert.ok(answer.searchParams.get('code'));
  const { items } = await workspace.operator('GET /records', { query: { operation: 'consent.grant' } });
  assert.match(JSON.stringify(items), /left out: [^"]*shop\/refund_order/);
});
