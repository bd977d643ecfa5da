import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { SignJWT } from 'jose';
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
    // Nobody but the person can choose it.
    standing: '90',
  });
  await page.goto(`${workspace.url}/oauth/authorize?${query}`);
  await page.getByRole('heading', { name: 'An application asks for your consent' }).waitFor();
  await page.getByText('any program here can claim').waitFor();
  await page.getByLabel('What for').fill('look at orders');
  await page.getByRole('checkbox', { name: 'shop/refund_order' }).uncheck();
  const standing = page.getByRole('checkbox', { name: /^Also let agent-\S+ act for me without me$/ });
  assert.equal(await standing.isChecked(), false, 'off until the person says so');
  assert.equal(await page.getByLabel('For how many days').count(), 0);
  await standing.check();
  await page.getByLabel('For how many days').fill('14');
  await page.getByRole('button', { name: 'Allow', exact: true }).click();
  const answer = new URL(await back, redirect);
  assert.equal(answer.searchParams.get('state'), 'kept');
  assert.ok(answer.searchParams.get('code'));
  const { items } = await workspace.operator('GET /records', { query: { operation: 'consent.grant' } });
  assert.match(JSON.stringify(items), /left out: [^"]*shop\/refund_order/);
  const { items: left } = await workspace.operator('GET /delegations');
  assert.equal(left.length, 1);
  const [{ expiresAt, createdAt, tools, via }] = left as [(typeof left)[number]];
  assert.deepEqual([(expiresAt - createdAt) / 86_400_000, via], [14, 'consent']);
  assert.ok(tools?.includes('shop/get_order') && !tools.includes('shop/refund_order'));

  await page.waitForURL(/callback/);
  await page.goto(`${workspace.url}/delegations`);
  await page.getByRole('row').filter({ hasText: 'shop/get_order' }).filter({ hasText: 'minutes each' }).waitFor();

  // Out of band the passkey signs it, and with the box unchecked again nothing is left.
  const before = left.length;
  const begun = (await (
    await fetch(`${workspace.url}/oauth/device`, { method: 'POST', body: new URLSearchParams({ client_id: 'app' }) })
  ).json()) as { user_code: string };
  // A code that was mistyped is typed again.
  await page.goto(`${workspace.url}/device?user_code=AAAA-BBBB`);
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByText('There is no such request').waitFor();
  await page.getByRole('link', { name: 'Type the code again' }).click();
  await page.getByLabel('Code').fill(begun.user_code.toLowerCase());
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByLabel('What for').fill('look once');
  await standing.check();
  await standing.uncheck();
  await page.getByRole('button', { name: 'Allow', exact: true }).click();
  await page
    .getByRole('heading', { name: 'You have said yes' })
    .or(page.getByText('You have said yes'))
    .first()
    .waitFor();
  assert.equal((await workspace.operator('GET /delegations')).items.length, before);

  const agent = await workspace.agent('agent-bearer', { bearerOnly: true });
  const jwt = await new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer('agent-bearer')
    .setSubject('agent-bearer')
    .setAudience(workspace.url)
    .setExpirationTime('60s')
    .sign(agent.key.privateKey as never);
  const asked = await fetch(`${workspace.url}/oauth/backchannel`, {
    method: 'POST',
    body: new URLSearchParams({
      client_id: 'agent-bearer',
      client_assertion: jwt,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      scope: 'openid',
      login_hint: 'owner@example.test',
      authorization_details: JSON.stringify([
        { type: 'urn:gatehouse:task', template: 'all', intent: 'out of band', parameters: {} },
      ]),
    }),
  });
  assert.equal(asked.status, 200, await asked.text());
  await page.goto(`${workspace.url}/approvals`);
  await page
    .getByRole('link', { name: /agent-bearer/ })
    .first()
    .click();
  await standing.check();
  await page.getByLabel('For how many days').fill('3');
  await page.getByRole('button', { name: 'Allow with passkey' }).click();
  await page.getByText('You have said yes').waitFor();
  const { items: both } = await workspace.operator('GET /delegations');
  assert.equal(both.length, before + 1);
  assert.equal(((both[0]?.expiresAt ?? 0) - (both[0]?.createdAt ?? 0)) / 86_400_000, 3);
});
