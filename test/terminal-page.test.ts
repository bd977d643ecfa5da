import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import Provider from 'oidc-provider';
import type { Browser, Page } from 'playwright-core';
import { createCli, ended } from '../packages/cli/test/support.ts';
import { sealedSession } from '../packages/server/src/identity/people/seals.ts';
import { createSealer, defaultKeyFile } from '../packages/server/src/storage/index.ts';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** In a real browser, with a real command line: a person lets it in with a passkey, or with the company's provider. */
const browser = (await launchChromium()) as Browser;
const needsBrowser = { skip: browser ? false : 'Chromium is missing: see above' };
const assets = builtConsole();
const directory = mkdtempSync(join(tmpdir(), 'gatehouse-terminal-'));
let workspace: Workspace;
let company: Server;

before(async () => {
  workspace = await startWorkspace({ consoleDir: assets.directory });
  company = createServer();
  await new Promise<void>((resolve) => company.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(company.address() as AddressInfo).port}`;
  const { keys } = (await (await fetch(`${workspace.url}/oidc/jwks`)).json()) as { keys: never[] };
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'gatehouse',
        redirect_uris: [`${workspace.url}/oidc/callback/company`],
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys },
        response_types: ['code'],
        grant_types: ['authorization_code'],
      },
    ],
    claims: { email: ['email', 'email_verified'] },
    scopes: ['openid', 'email'],
    findAccount: (_context, id) => ({
      accountId: id,
      claims: async () => ({ sub: id, email: `${id}@example.test`, email_verified: true }),
    }),
    cookies: { keys: ['test'] },
  });
  company.on('request', provider.callback());
  await workspace.apply([
    ...manifests(),
    { kind: 'Person', email: 'erin@example.test', displayName: 'Erin', roles: ['auditor'] },
    {
      kind: 'IdentityProvider',
      name: 'company',
      displayName: 'Example Inc.',
      issuer,
      clientId: 'gatehouse',
      scopes: ['openid', 'email'],
      allowPrivateAddress: true,
    },
  ]);
});
after(async () => {
  await browser?.close();
  company.closeAllConnections();
  company.close();
  await workspace.close();
  assets.remove();
  rmSync(directory, { recursive: true, force: true });
});

const { open, signIn } = visitors(browser, () => workspace);
const cli = () => createCli(directory, { GATEHOUSE_URL: workspace.url });

/** `gatehouse login`, up to where it waits for its person. */
async function login(): Promise<{ address: string; code: string; done: ReturnType<typeof ended> }> {
  const child = cli().start(['login', '--no-browser']);
  const done = ended(child);
  let told = '';
  const found = new Promise<RegExpExecArray>((resolve) => {
    child.stderr?.on('data', (text: string) => {
      told += text;
      const match = /open (\S+)\nand compare the code: (\S+)/.exec(told);
      if (match) resolve(match);
    });
  });
  const [, address = '', code = ''] = await found;
  return { address, code, done };
}

async function follow(page: Page, { address, code }: { address: string; code: string }): Promise<void> {
  await page.goto(address);
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByRole('heading', { name: 'Sign in the command line' }).waitFor();
  await page.getByText(code, { exact: true }).waitFor();
}

/** @proves terminal.page */
test(
  'the page says who asks, from where, as whom and what never; a passkey lets it in, and the console ends it',
  needsBrowser,
  async () => {
    const { page, faults } = await open();
    await signIn(page, 'owner@example.test');
    const begun = await login();
    await follow(page, begun);
    await page.getByText(/Sign in the command line \S+ at 127\.0\.0\.1, as Owner \(owner@example\.test\)/).waitFor();
    await page.getByText(/Read, stop and take away as your roles allow \(admin, security, owner, approver\)/).waitFor();
    await page.getByText(/Approve, consent, review definitions, enrol or change passkeys, or let anybody in/).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Allow' }).count(), 0, 'it is no consent to an agent');
    await page.getByRole('button', { name: 'Sign it in with passkey' }).click();
    await page.getByText('The command line is signed in').waitFor();
    const { code, stdout, stderr } = await begun.done;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /as Owner \(owner@example\.test\)/);
    const who = await cli().run('whoami');
    assert.match(who.stdout, /let in by a passkey/);

    await page.goto(`${workspace.url}/settings`);
    const row = page.getByRole('row').filter({ hasText: 'Command line on' });
    await row.getByText('restricted').waitFor();
    await row.getByRole('button', { name: 'End it' }).click();
    await row.waitFor({ state: 'detached' });
    assert.equal((await cli().run('whoami')).code, 77);
    assert.deepEqual(faults, []);
  },
);

test('a "no" on the page ends the wait, and nobody is signed in', needsBrowser, async () => {
  const { page } = await open();
  await signIn(page, 'approver@example.test');
  const begun = await login();
  await follow(page, begun);
  await page.getByRole('button', { name: 'Deny' }).click();
  await page.getByText('You have said no').waitFor();
  const { code, stderr } = await begun.done;
  assert.deepEqual([code, /The person said no/.test(stderr)], [2, true]);
});

async function atCompany(page: Page): Promise<void> {
  await page.getByRole('textbox', { name: /login/i }).fill('erin');
  await page.getByPlaceholder(/password/i).fill('x');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
}

/** @proves terminal.page, oidc.sign-in */
test(
  'who has only the company’s sign-in enters the console with it, and lets the command line in right after it, not later',
  needsBrowser,
  async () => {
    const { page } = await open();
    await page.goto(`${workspace.url}/sign-in`);
    await page.getByRole('button', { name: 'Sign in with Example Inc.' }).click();
    await atCompany(page);
    await page.getByRole('heading', { name: 'Overview' }).waitFor();

    // As if they had signed in an hour ago.
    const database = new DatabaseSync(join(workspace.dataDir, 'gatehouse.db'), { timeout: 5_000 });
    const kek = Buffer.from(readFileSync(defaultKeyFile(workspace.dataDir), 'utf8'), 'base64url');
    const read = database.prepare("select * from people_sessions where person = 'erin@example.test'");
    for (const row of read.all() as unknown as Parameters<typeof sealedSession>[1][]) {
      const earlier = { ...row, created_at: row.created_at - 3_600_000 };
      const { seal } = sealedSession(createSealer(kek), earlier);
      const change = database.prepare('update people_sessions set created_at = ?, seal = ? where id_digest = ?');
      change.run(earlier.created_at, seal, row.id_digest);
    }
    database.close();
    const begun = await login();
    await follow(page, begun);
    await page.getByRole('button', { name: 'Sign in with company again first' }).click();
    await page.getByRole('button', { name: 'Sign it in' }).click();
    await page.getByText('The command line is signed in').waitFor();
    const { code, stderr } = await begun.done;
    assert.equal(code, 0, stderr);
    const who = await cli().run('whoami');
    assert.match(who.stdout, /erin@example\.test[\s\S]*let in by company sign-in \(company\)/);
    const { items } = await workspace.operator('GET /sessions/everyone', { query: { via: 'device' } });
    assert.equal(items.find(({ person }) => person === 'erin@example.test')?.provider, 'company');
  },
);
