import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import type { Browser } from 'playwright-core';
import { apiRoutes } from '../packages/server/src/api/index.ts';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { type ReceivedMail, startMailServer } from './support/mail-server.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** A mail with a link that opens one approval: from the SMTP server to the passkey, in a real browser, and what else somebody might do with it. */
let workspace: Workspace;
let assets: ReturnType<typeof builtConsole> | undefined;
let mailServer: Awaited<ReturnType<typeof startMailServer>>;
const browser = (await launchChromium()) as Browser | undefined;
const skip = browser ? false : 'Chromium is missing: see above';
const approver = 'approver@example.test';
/** Told once with the address in it, as servers that look for spam do. */
let refuseOnce = false;

before(async () => {
  mailServer = await startMailServer({
    refuses({ raw }) {
      if (!refuseOnce) return undefined;
      refuseOnce = false;
      return `5.7.1 refused for ${/\S+#mail_[\w-]+/.exec(raw)?.[0]}`;
    },
  });
  if (browser) assets = builtConsole();
  workspace = await startWorkspace({ ...(assets && { consoleDir: assets.directory }) });
  const value = { value: 'mail-s3cret', origins: ['https://localhost'] };
  await workspace.operator('PUT /secrets/:name', { params: { name: 'mail' }, body: value });
  await workspace.apply([
    ...manifests(),
    {
      kind: 'Channel',
      name: 'mail',
      allowPrivateAddress: true,
      ca: mailServer.ca,
      mail: {
        host: 'localhost',
        port: mailServer.port,
        from: 'gatehouse@example.test',
        user: 'gatehouse',
        password: 'mail',
        signInLink: true,
      },
    },
  ]);
});
after(async () => {
  await browser?.close();
  await workspace?.close();
  await mailServer?.close();
  assets?.remove();
});

let agent: ReturnType<Workspace['agent']> | undefined;
async function ask() {
  agent ??= workspace.agent('agent-a');
  const task = await (await agent).startTask({ template: 'all', intent: 'test' });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  const args = { order: 1042, amount_cents: 1, currency: 'EUR', reason: crypto.randomUUID() };
  const call = () => client.callTool({ name: 'shop__refund_order', arguments: args });
  const waiting = (await call())._meta?.['gatehouse/approval'] as { id: string } | undefined;
  assert.ok(waiting);
  return { id: waiting.id, call, task };
}

async function until<T>(look: () => T | undefined | Promise<T | undefined>, what: string): Promise<T> {
  for (let tries = 0; tries < 1_200; tries++) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(25);
  }
  throw new Error(`never: ${what}`);
}

const mailTo = (address: string, id: string) =>
  until(
    () => mailServer.mails.find(({ to, raw }) => to.includes(address) && raw.includes(id)),
    `a mail to ${address} about ${id}`,
  );
const linkIn = ({ raw }: ReceivedMail) => /https?:\/\/[^\s"<]+#mail_[\w-]{43}/.exec(raw)?.[0] ?? '';
const tokenIn = (mail: ReceivedMail) => linkIn(mail).split('#')[1] ?? '';
const stateOf = async (id: string) => (await workspace.operator('GET /approvals/:id', { params: { id } })).state;

const send = (path: string, { method = 'POST', body = {}, ...headers }: Record<string, unknown> = {}) =>
  fetch(`${workspace.url}/api/v1${path}`, {
    method: method as string,
    headers: { origin: workspace.url, 'content-type': 'application/json', ...(headers as Record<string, string>) },
    ...(method !== 'GET' && { body: JSON.stringify(body) }),
  });
const redeem = (token: string, approval: string, headers: Record<string, string> = {}) =>
  send('/signin/mail', { body: { token, approval }, ...headers });
const cookieOf = (response: Response) => (response.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
async function opened(id: string) {
  const response = await redeem(tokenIn(await mailTo(approver, id)), id);
  assert.equal(response.status, 200);
  return cookieOf(response);
}
const titleOf = async (response: Response) =>
  `${response.status} ${((await response.json()) as { title: string }).title}`;

/** @proves mail-link.opens, channel.mail */
test('from the mail to the page, the passkey, one call and its receipt, in a browser', { skip }, async () => {
  const { open, signIn } = visitors(browser as Browser, () => workspace);
  const { page, faults } = await open();
  await signIn(page, approver);
  await page.context().clearCookies();

  const { id, call } = await ask();
  const link = linkIn(await mailTo(approver, id));
  assert.ok(link.startsWith(`${workspace.url}/mail/${id}#mail_`), link);
  // A scanner opens it: nothing of the token reaches the server, and nothing has changed.
  const scanned = await fetch(link);
  assert.equal(scanned.headers.get('referrer-policy'), 'no-referrer');
  await page.goto(link);
  await page.getByRole('button', { name: 'Show what waits' }).waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Show what waits' }).click();
  await page.getByText('1042').first().waitFor();
  assert.equal(await page.getByRole('button', { name: 'Allow more of these…' }).count(), 0, 'this one call alone');
  assert.ok(!page.url().includes('#'), 'the token has left the address');
  // The rest of the house is closed.
  const reached = await page.evaluate(async () => (await fetch('/api/v1/approval-inbox')).status);
  assert.equal(reached, 403);
  await page.getByRole('button', { name: 'Approve with passkey' }).click();
  await page.getByText(`Approved by ${approver}`).waitFor();
  assert.ok(!(await call()).isError);
  const again = (await call())._meta?.['gatehouse/approval'] as { id: string } | undefined;
  assert.ok(again && again.id !== id, 'once: the same call waits again');
  const ran = await until(async () => {
    const { items } = await workspace.operator('GET /actions', { query: { tool: 'shop/refund_order', limit: '50' } });
    return items.find(({ approval }) => approval === id);
  }, 'the action is found');
  // The session has ended with the decision, and the same link opens nothing for another browser.
  assert.equal(await page.evaluate(async () => (await fetch('/api/v1/session')).status), 401);
  const other = await open();
  await other.page.goto(link);
  await other.page.getByRole('button', { name: 'Show what waits' }).click();
  await other.page.getByText('This link does not work').waitFor();
  assert.deepEqual(faults, []);
  await other.page.context().close();

  // Whoever is signed in is led to the page, and the link stays unused.
  const next = await ask();
  const nextLink = linkIn(await mailTo(approver, next.id));
  await page.goto(`${workspace.url}/sign-in`);
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await page.goto(nextLink);
  await page.waitForURL(`${workspace.url}/approvals/${next.id}`);
  await page.getByRole('button', { name: 'Approve with passkey' }).waitFor();
  assert.equal((await redeem(nextLink.split('#')[1] ?? '', next.id)).status, 200);
  // What was said by mail has a receipt like any other.
  await page.goto(`${workspace.url}/actions/${ran.actionId}`);
  await page.getByRole('button', { name: 'Verify who said yes' }).click();
  const said = page.getByRole('status').filter({ hasText: 'Signed exactly this action, with these arguments' });
  await said.getByText(approver).waitFor();
  await page.context().close();
});

/** @proves mail-link.weak */
test('what a mail has opened shows its approval; every other route of people is refused, the enrolment of a passkey first', async () => {
  const [own, other] = [await ask(), await ask()];
  const cookie = await opened(own.id);
  const itsOwn = new Set([
    'GET /approvals/:id',
    'GET /approvals/:id/progress',
    'GET /approvals/:id/context',
    'POST /approvals/:id/options',
    'POST /approvals/:id/approve',
    'POST /approvals/:id/deny',
  ]);
  const routes = apiRoutes({ config: {} } as Parameters<typeof apiRoutes>[0]);
  assert.ok(routes.length > 100);
  for (const { name, access } of routes) {
    if (access === 'public' || name === 'GET /session' || name === 'POST /signout') continue;
    const [method = '', path = ''] = name.split(' ');
    const response = await send(path.replaceAll(/:(\w+)/g, other.id), { method, cookie });
    assert.equal(await titleOf(response), '403 session.by-mail', name);
  }
  for (const path of ['/events', '/passkeys', '/passkeys/options'])
    assert.equal((await send(path, { method: path === '/passkeys/options' ? 'POST' : 'GET', cookie })).status, 403);
  assert.equal((await fetch(`${workspace.url}/log/x/checkpoint`, { headers: { cookie } })).status, 403);
  for (const name of itsOwn) {
    const [method = '', path = ''] = name.split(' ');
    const response = await send(path.replace(':id', other.id), { method, cookie });
    assert.equal(await titleOf(response), '403 session.by-mail', `${name} of another`);
  }
  // Of its own it may ask for all, and gets no yes without the passkey, nor anything wider than this one answer.
  for (const path of ['', '/progress', '/context'])
    assert.equal((await send(`/approvals/${own.id}${path}`, { method: 'GET', cookie })).status, 200);
  const { session, enrolled, approval } = (await (await send('/session', { method: 'GET', cookie })).json()) as {
    session: { expiresAt: number };
    enrolled: boolean;
    approval: string;
  };
  assert.deepEqual([enrolled, approval], [false, own.id]);
  assert.ok(session.expiresAt <= Date.now() + 15 * 60_000);
  const tries: [string, object, RegExp][] = [
    ['approve', { assertion: {} }, /^40[03] (passkey|body)\./],
    ['options', { grant: { calls: 2, seconds: 60 } }, /^403 session\.by-mail/],
    ['options', { endorse: [{ role: 'recipient', value: 'eve@example.test' }] }, /^403 session\.by-mail/],
    ['approve', { assertion: {}, endorse: [{ role: 'recipient', value: 'x' }] }, /^403 session\.by-mail/],
    ['deny', { reason: '', suspend: 'agent' }, /^403 session\.by-mail/],
  ];
  for (const [what, body, expected] of tries)
    assert.match(await titleOf(await send(`/approvals/${own.id}/${what}`, { cookie, body })), expected, what);
  assert.deepEqual([await stateOf(own.id), await stateOf(other.id)], ['pending', 'pending']);
  // A no is one, and is on record with the way that it came.
  assert.equal((await send(`/approvals/${own.id}/deny`, { cookie, body: { reason: 'not this one' } })).status, 200);
  const { items } = await workspace.operator('GET /records', { query: { approval: own.id, limit: '200' } });
  assert.match(JSON.stringify(items), /through channel mail/);
  assert.equal((await send('/session', { method: 'GET', cookie })).status, 401, 'ended with the decision');
});

/** @proves mail-link.once, mail-link.ends */
test('used twice, for another approval, from another origin, with an agent’s token, or after the decision: nothing', async () => {
  const [own, other] = [await ask(), await ask()];
  const token = tokenIn(await mailTo(approver, own.id));
  const invalid = '401 mail-link.invalid';
  assert.equal(await titleOf(await redeem(token, other.id)), invalid);
  assert.equal((await redeem(token, own.id, { origin: 'https://evil.example' })).status, 403);
  assert.equal((await redeem(token, own.id, { 'content-type': 'text/plain' })).status, 400);
  assert.notEqual((await redeem(token, own.id, { authorization: `Bearer ${await own.task.token()}` })).status, 200);
  const response = await redeem(token, own.id);
  assert.equal(response.status, 200);
  assert.match(response.headers.get('set-cookie') ?? '', /HttpOnly; SameSite=Strict/);
  assert.equal(await titleOf(await redeem(token, own.id)), invalid);
  const late = tokenIn(await mailTo(approver, other.id));
  const owner = await workspace.person('owner@example.test');
  await owner.api('POST /approvals/:id/deny', { params: { id: other.id }, body: { reason: 'no' } });
  assert.equal(await titleOf(await redeem(late, other.id)), invalid);
  // Each mail is of one person.
  assert.notEqual(tokenIn(await mailTo('owner@example.test', own.id)), token);
  // A token lies in no record, whoever looks.
  const kept = JSON.stringify(await workspace.operator('GET /records', { query: { limit: '200' } }));
  for (const each of mailServer.mails) assert.ok(!kept.includes(tokenIn(each).slice('mail_'.length)));
});

/** @proves mail-link.secret */
test('a mail server that quotes what it refuses gets no token into what is shown and logged', async () => {
  refuseOnce = true;
  const { id } = await ask();
  const { error } = await until(async () => {
    const { items } = await workspace.operator('GET /channels/:name/deliveries', { params: { name: 'mail' } });
    return items.find(({ approval, state }) => approval === id && state === 'dead');
  }, 'a refused mail');
  assert.match(error ?? '', /refused for/);
  assert.ok(!/mail_[\w-]{8}/.test(error ?? ''), error ?? '');
});
